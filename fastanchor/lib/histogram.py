"""Durations counted in buckets, so that quantiles of a million requests are read from a few rows.

Bucket ``n`` holds durations up to ``edge(n)`` milliseconds; each edge is a fourth above the one before it, so a quantile is
at most 25 % above the truth.

A whole histogram is also one number, with twelve decimal places for each bucket: databases add histograms up by adding
numbers, which is several times quicker than adding arrays up place by place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

LAST_EDGE_MS = 30 * 60 * 1_000
# Decimal places of each bucket in a packed histogram: no bucket ever counts up to 10**12.
PLACES = 12


def _edges() -> tuple[int, ...]:
    edges = [1]
    while edges[-1] < LAST_EDGE_MS:
        edges.append(max(edges[-1] + 1, edges[-1] * 5 // 4))
    return tuple(edges)


EDGES = _edges()


def bucket_of(ms: int) -> int:
    """Return the number of the bucket of a duration in milliseconds; what is longer than all edges is in the last."""
    return min(bisect_left(EDGES, ms), len(EDGES) - 1)


def edge(bucket: int) -> int:
    """Return the longest duration of a bucket, in milliseconds."""
    return EDGES[bucket]


def quantile(counts: Mapping[int, int], *, percent: int) -> int | None:
    """Return the duration in milliseconds that ``percent`` of those counted do not exceed; ``None`` without any."""
    total = sum(counts.values())
    if not total:
        return None
    # The rank is rounded up: of one duration, every quantile is that one.
    rank, seen = -(-total * percent // 100), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return edge(bucket)
    return edge(max(counts))


def packed(counts: Mapping[int, int]) -> int:
    """Return a histogram as one number; two such numbers together are the number of both histograms together."""
    return sum(count * 10 ** (PLACES * bucket) for bucket, count in counts.items())


def unpacked(number: str) -> dict[int, int]:
    """Return the counts by bucket, without empty ones, of a packed histogram's decimal digits."""
    width = -(-len(number) // PLACES) * PLACES
    digits = number.rjust(width, "0")
    starts = range(width - PLACES, -1, -PLACES)
    counts = {bucket: int(digits[start : start + PLACES]) for bucket, start in enumerate(starts)}
    return {bucket: count for bucket, count in counts.items() if count}
