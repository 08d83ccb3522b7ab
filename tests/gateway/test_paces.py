"""What a channel did lately counts, fades, and never shuts a recovering channel out."""

from __future__ import annotations

import pytest

from gateway.paces import HALF_LIFE_S, LEAST, Paces
from tests.gateway.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paces(clock: Clock) -> Paces:
    return Paces(clock)


def score(paces: Paces, channel_id: str) -> float:
    fastest = paces.fastest(["east", "west"], is_stream=True)
    return paces.score(channel_id, fastest=fastest, is_stream=True)


def test_a_channel_of_which_nothing_is_known_is_as_good_as_any(paces: Paces) -> None:
    paces.answered("west", seconds=0.1, is_stream=True)

    assert score(paces, "east") == 1.0


def test_a_channel_that_fails_half_of_the_time_counts_about_a_quarter(paces: Paces) -> None:
    for _ in range(100):
        paces.failed("east")
        paces.answered("east", seconds=0.1, is_stream=True)

    assert 0.15 < score(paces, "east") < 0.35


def test_a_channel_that_takes_twice_as_long_counts_about_half(paces: Paces) -> None:
    for _ in range(50):
        paces.answered("east", seconds=0.4, is_stream=True)
        paces.answered("west", seconds=0.2, is_stream=True)

    assert score(paces, "east") == pytest.approx(0.5, abs=0.02)
    assert score(paces, "west") == 1.0


def test_whole_answers_are_not_compared_with_first_contents(paces: Paces) -> None:
    paces.answered("east", seconds=9.0, is_stream=False)
    paces.answered("west", seconds=0.1, is_stream=True)

    assert score(paces, "east") == 1.0


def test_what_is_known_fades_when_nothing_new_is_heard(paces: Paces, clock: Clock) -> None:
    for _ in range(50):
        paces.failed("east")
    assert score(paces, "east") == LEAST

    clock.now += HALF_LIFE_S
    assert score(paces, "east") == pytest.approx(0.5, abs=0.05)
    clock.now += 10 * HALF_LIFE_S
    assert score(paces, "east") > 0.99


def test_a_channel_that_recovers_is_soon_as_good_as_the_others(paces: Paces, clock: Clock) -> None:
    for _ in range(50):
        paces.failed("east")
    clock.now += HALF_LIFE_S

    for _ in range(10):
        paces.answered("east", seconds=0.1, is_stream=True)

    assert score(paces, "east") > 0.85
