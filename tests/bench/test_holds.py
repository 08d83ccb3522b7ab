"""What the money of a request costs: every request is measured to its end, and the targets bite."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from django.conf import settings

from bench.holds import Figures, measure
from billing import holds


async def test_every_request_is_held_settled_and_measured(tmp_path: Path) -> None:
    figures = await measure(tmp_path, settings.REDIS_URL, rate=200, seconds=0.5, seed=1)

    assert len(figures.hold) == len(figures.settled) == len(figures.share) > 50
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        known = holds.known_wallet(client, "org_bench")
    assert known is not None
    # What was used is held until PostgreSQL has it; nothing runs any more, the one to warm up included.
    assert (known.held_nano, known.running) == ((len(figures.hold) + 1) * 1_142_500, 0)


@pytest.mark.parametrize(
    ("settled_ms", "share_ms", "is_within"), [(14.9, 1.9, True), (15.0, 1.9, False), (14.9, 2.0, False)]
)
def test_a_missed_target_is_seen(settled_ms: float, share_ms: float, *, is_within: bool) -> None:
    # One of a hundred may take as long as it likes.
    figures = Figures(
        hold=[1.0] * 200, settled=[settled_ms] * 199 + [900.0], share=[share_ms] * 199 + [900.0]
    )

    assert figures.is_within() is is_within
    assert [line.split()[:2] for line in figures.lines()][1:] == [
        ["hold", "200"],
        ["settled", "200"],
        ["share", "200"],
    ]
