"""What a gateway process does beside serving.

It renews leases, comments into silent streams, gives up on slow readers, asks channels that are out whether they work
again, and tells the log of those who found no place.
"""

from __future__ import annotations

import asyncio
import logging
import time

from gateway.probing import Prober
from gateway.runtime import Gateway

logger = logging.getLogger(__name__)

TICK_S = 1.0
# A third of a lease, so that one late renewal does no harm.
RENEW_EVERY_S = 15.0
KEEP_ALIVE = b": keep-alive\n\n"


async def upkeep(gateway: Gateway) -> None:
    """Run until cancelled."""
    renewed_at = time.monotonic()
    prober = Prober(gateway)
    while True:
        await asyncio.sleep(TICK_S)
        now = time.monotonic()
        look_after_streams(gateway, now)
        prober.look(now)
        gateway.capacity.report()
        if now - renewed_at >= RENEW_EVERY_S:
            renewed_at = now
            gateway.holds.renew()


def look_after_streams(gateway: Gateway, now: float) -> None:
    """Send a comment where nothing was sent for a while; leave callers who do not read."""
    for reply in list(gateway.streams):
        rests_s = now - reply.moved_at
        if reply.waiting_bytes:
            if rests_s > gateway.deadlines.slow_reader_s:
                reply.leave()
        elif rests_s > gateway.deadlines.keep_alive_s:
            # Some hand-written clients stumble over comments, so there are none before a long silence.
            reply.send(KEEP_ALIVE)
