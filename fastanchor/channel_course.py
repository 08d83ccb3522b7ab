"""How each channel did over the last day, in steps of five minutes: a worker samples what the gateways tell.

Kept in Valkey beside what it samples; nothing depends on it.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass

from fastanchor import channel_reports
from fastanchor.lib.valkey import sync_client

KEY = "fa:channels:course"
EVERY_S = 300
POINTS = 288


@dataclass(frozen=True, slots=True)
class Point:
    """One channel at a moment: failures in parts of a thousand, and milliseconds to the first content."""

    errors_per_mille: int
    first_ms: int


def sample() -> int:
    """Write down how the channels do now; returns how many. Raises ``RedisError``."""
    seen = channel_reports.read()
    points = {
        channel_id: [round(each.errors * 1_000), round((each.first_s or each.whole_s) * 1_000)]
        for channel_id, each in seen.items()
    }
    pipe = sync_client().pipeline()
    pipe.rpush(KEY, json.dumps([round(time.time()), points]))
    pipe.ltrim(KEY, -POINTS, -1)
    pipe.expire(KEY, 2 * POINTS * EVERY_S)
    pipe.execute()
    return len(points)


def read() -> dict[str, list[Point]]:
    """Return the samples of each channel, oldest first; raises ``RedisError``."""
    course: defaultdict[str, list[Point]] = defaultdict(list)
    since = time.time() - POINTS * EVERY_S
    raw: list[bytes] = sync_client().lrange(KEY, 0, -1)  # type: ignore[assignment]
    for each in raw:
        at, points = json.loads(each)
        if at < since:
            continue
        for channel_id, numbers in points.items():
            course[channel_id].append(Point(*numbers))
    return dict(course)
