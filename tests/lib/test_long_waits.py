"""Only who waits longer than a moment is called back, once, and nobody who has ended."""

from __future__ import annotations

import asyncio
from functools import partial

from fastanchor.lib.long_waits import AFTER_S, LongWaits


async def test_only_who_still_waits_is_called_back() -> None:
    waits, called = LongWaits(), list[str]()
    long, short = partial(called.append, "long"), partial(called.append, "short")
    waits.begin(long)
    waits.begin(short)
    waits.end(short)

    await asyncio.sleep(3 * AFTER_S)

    assert called == ["long"]
    waits.end(long)


async def test_nobody_is_called_back_before_the_moment_is_over() -> None:
    waits, called = LongWaits(), list[float]()
    loop = asyncio.get_running_loop()
    waits.begin(lambda: called.append(loop.time()))
    await asyncio.sleep(0.8 * AFTER_S)
    begun = loop.time()
    waits.begin(lambda: called.append(loop.time()))

    await asyncio.sleep(4 * AFTER_S)

    assert len(called) == 2
    assert called[1] - begun >= AFTER_S


async def test_no_timer_runs_while_nobody_waits() -> None:
    waits, called = LongWaits(), list[int]()
    waits.begin(partial(called.append, 1))
    await asyncio.sleep(4 * AFTER_S)

    assert called == [1]
    assert waits._timer is None
