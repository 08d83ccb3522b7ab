"""Durations counted in buckets, so that quantiles of a million requests are read from a few rows.

Bucket ``n`` holds durations up to ``edge(n)`` milliseconds; each edge is a fourth above the one before it, so a quantile is
at most 25 % above the truth.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

LAST_EDGE_MS = 30 * 60 * 1_000


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
