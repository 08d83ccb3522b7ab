"""A channel that fails is left alone for a while, then probed; retries stay a share of the load."""

from __future__ import annotations

import pytest

from gateway.health import FAILURES_TO_OPEN, LAST_RESORT_S, OPEN_S, RETRY_FLOOR, Health
from tests.gateway.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def fail(health: Health, times: int) -> None:
    for _ in range(times):
        health.failed("chan_1")


def test_five_failures_in_a_row_open_the_breaker(health: Health) -> None:
    fail(health, FAILURES_TO_OPEN - 1)
    assert health.may_try("chan_1")

    fail(health, 1)
    assert not health.may_try("chan_1")
    assert health.may_try("chan_2")


def test_a_success_starts_the_count_again(health: Health) -> None:
    fail(health, FAILURES_TO_OPEN - 1)
    health.succeeded("chan_1")
    fail(health, FAILURES_TO_OPEN - 1)

    assert health.may_try("chan_1")


def test_after_the_pause_one_probe_is_let_through(health: Health, clock: Clock) -> None:
    fail(health, FAILURES_TO_OPEN)
    clock.now += OPEN_S + 1

    assert [health.may_try("chan_1") for _ in range(3)] == [True, False, False]

    health.succeeded("chan_1")
    assert health.may_try("chan_1")


def test_where_no_other_channel_is_left_one_probe_every_few_seconds_may_come_early(
    health: Health, clock: Clock
) -> None:
    fail(health, FAILURES_TO_OPEN)
    assert not health.may_try_early("chan_1")

    clock.now += LAST_RESORT_S
    assert [health.may_try_early("chan_1") for _ in range(3)] == [True, False, False]
    fail(health, 1)
    assert not health.may_try_early("chan_1")


def test_a_pause_that_the_upstream_asked_for_is_kept_even_then(health: Health, clock: Clock) -> None:
    health.failed("chan_1", pause_s=60)
    clock.now += LAST_RESORT_S * 2

    assert not health.may_try_early("chan_1")


def test_a_probe_that_fails_closes_the_door_again(health: Health, clock: Clock) -> None:
    fail(health, FAILURES_TO_OPEN)
    clock.now += OPEN_S + 1
    assert health.may_try("chan_1")

    fail(health, 1)

    assert not health.may_try("chan_1")
    clock.now += OPEN_S + 1
    assert health.may_try("chan_1")


def test_a_probe_without_a_verdict_lets_the_next_one_through(health: Health, clock: Clock) -> None:
    fail(health, FAILURES_TO_OPEN)
    clock.now += OPEN_S + 1
    assert health.may_try("chan_1")

    health.gave_up("chan_1")

    assert health.may_try("chan_1")


def test_a_refused_credential_takes_the_channel_out_at_once(health: Health, clock: Clock) -> None:
    health.failed("chan_1", pause_s=300)

    clock.now += 299
    assert not health.may_try("chan_1")
    clock.now += 2
    assert health.may_try("chan_1")


def test_retries_are_a_fifth_of_the_load_beyond_the_first_few(health: Health) -> None:
    for _ in range(int(RETRY_FLOOR)):
        assert health.may_retry()
    assert not health.may_retry()

    granted = 0
    for _ in range(100):
        health.count_request()
        granted += health.may_retry()

    assert granted == pytest.approx(20, abs=1)
