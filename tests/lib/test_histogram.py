from __future__ import annotations

import random
from collections import Counter

import pytest

from fastanchor.lib import histogram


def test_a_bucket_holds_all_up_to_its_edge_and_nothing_above() -> None:
    for bucket, edge in enumerate(histogram.EDGES):
        assert histogram.bucket_of(edge) == bucket
        assert histogram.bucket_of(edge + 1) == min(bucket + 1, len(histogram.EDGES) - 1)
    assert histogram.bucket_of(0) == 0


def test_nothing_counted_has_no_quantile() -> None:
    assert histogram.quantile({}, percent=50) is None


@pytest.mark.parametrize("percent", [1, 50, 95, 99, 100])
def test_a_quantile_is_at_most_a_quarter_above_the_truth(percent: int) -> None:
    chance = random.Random(5)
    for size in (1, 2, 3, 10, 1_000):
        durations = sorted(int(chance.lognormvariate(6, 2)) + 1 for _ in range(size))
        true = durations[-(-size * percent // 100) - 1]
        counts = Counter(map(histogram.bucket_of, durations))

        told = histogram.quantile(counts, percent=percent)

        assert told is not None
        assert true <= told <= max(true + 1, true * 5 // 4 + 1)


def test_packed_histograms_are_added_up_as_numbers() -> None:
    last = len(histogram.EDGES) - 1
    one, other = {0: 1, 7: 999_999_999, last: 3}, {0: 4, 1: 2, last: 5}

    both = histogram.packed(one) + histogram.packed(other)

    assert histogram.unpacked(str(both)) == {0: 5, 1: 2, 7: 999_999_999, last: 8}
    assert histogram.unpacked(str(histogram.packed({}))) == {}
