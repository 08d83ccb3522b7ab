"""What upstreams allow a channel is kept by every process for its share, and callers of lower plans make room first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from catalog.snapshot import Channel
from gateway.limits import Lack, Limits
from tests.gateway.attempts import channel
from tests.gateway.clock import Clock

FREE, PAYG, ENTERPRISE = 0, 10, 20


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Limits:
    return Limits(clock=clock)


def limited(**fields: Any) -> Channel:
    return replace(channel(), **fields)


def how_many(limits: Limits, to: Channel, *, priority: int = ENTERPRISE, tokens: int = 1) -> int:
    """Send requests until one would be passed over."""
    taken = 0
    while limits.lack(to, priority=priority) is None and taken < 1_000:
        limits.take(to, tokens=tokens)
        taken += 1
    return taken


def test_a_channel_without_limits_is_never_passed_over_and_not_counted(limits: Limits) -> None:
    assert how_many(limits, channel()) == 1_000
    assert limits.take(channel(), tokens=5) is None
    assert limits.running("chan_1") == 0


def test_a_channel_is_passed_over_while_as_many_run_as_it_allows(limits: Limits) -> None:
    to = limited(concurrency=3)
    seats = [limits.take(to, tokens=1) for _ in range(3)]
    assert limits.lack(to, priority=ENTERPRISE) == Lack("concurrency", 1.0)

    limits.leave(seats[0])

    assert limits.lack(to, priority=ENTERPRISE) is None
    assert limits.running(to.id) == 2


def test_no_more_requests_go_out_in_any_minute_than_a_channel_allows(limits: Limits, clock: Clock) -> None:
    to = limited(requests_per_minute=30)
    sent: list[float] = []
    for _ in range(1_000):
        if limits.lack(to, priority=ENTERPRISE) is None:
            limits.take(to, tokens=1)
            sent.append(clock.now)
        clock.now += 0.37

    busiest = max(sum(start <= at < start + 60 for at in sent) for start in sent)
    assert busiest <= 30
    assert len(sent) >= 0.8 * 30 * (1_000 * 0.37 / 60)


def test_how_long_a_limit_keeps_a_channel_back_is_about_true(limits: Limits, clock: Clock) -> None:
    to = limited(requests_per_minute=10)
    assert how_many(limits, to) == 10
    lack = limits.lack(to, priority=ENTERPRISE)
    assert lack is not None

    clock.now += lack.wait_s - 1
    assert limits.lack(to, priority=ENTERPRISE) is not None
    clock.now += 2
    assert limits.lack(to, priority=ENTERPRISE) is None


def test_tokens_are_counted_by_estimate_and_then_as_they_were(limits: Limits) -> None:
    to = limited(tokens_per_minute=1_000)
    seat = limits.take(to, tokens=400)
    assert limits.lack(to, priority=ENTERPRISE) is None

    limits.leave(seat, tokens=1_000)

    lack = limits.lack(to, priority=ENTERPRISE)
    assert lack is not None
    assert lack.what == "tokens"


def test_each_of_several_processes_keeps_its_share(clock: Clock) -> None:
    four = [Limits(processes=4, clock=clock) for _ in range(4)]

    assert sum(how_many(each, limited(concurrency=20)) for each in four) == 20
    assert sum(how_many(each, limited(id="b", requests_per_minute=41)) for each in four) == 40


def test_free_leaves_a_fifth_to_those_who_pay_and_enterprise_goes_last_of_all(limits: Limits) -> None:
    to = limited(concurrency=40)

    assert how_many(limits, to, priority=FREE) == 32
    assert how_many(limits, to, priority=PAYG) == 6
    assert how_many(limits, to, priority=ENTERPRISE) == 2


def test_even_the_smallest_limit_lets_one_request_of_anyone_through(limits: Limits) -> None:
    assert how_many(limits, limited(concurrency=1), priority=FREE) == 1
    assert how_many(limits, limited(id="b", requests_per_minute=1), priority=FREE) == 1
