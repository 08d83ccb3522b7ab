"""A channel that is out is asked by ourselves once its pause is over, so that no caller has to find out."""

from __future__ import annotations

import asyncio
import random

import pytest

from gateway.health import FAILURES_TO_OPEN, OPEN_S, Health
from gateway.probing import MOST_JITTER_S, QUESTION, Prober, cheapest, probe
from tests.gateway.clock import Clock
from tests.gateway.house import House, Upstream, completion, whole

BROKEN = whole(b'{"error":{"message":"our key sk-secret"}}', "503 Service Unavailable")


@pytest.fixture
def clock(house: House) -> Clock:
    clock = Clock()
    house.gateway.health = Health(clock)
    return clock


async def probes(house: House, clock: Clock, prober: Prober, *, after_s: float) -> None:
    """Let time pass, look twice, and wait for what was started."""
    clock.now += after_s
    prober.look(clock.now)
    prober.look(clock.now + MOST_JITTER_S)
    await asyncio.gather(*prober._running)


async def test_a_channel_that_works_again_is_back_without_any_caller(
    house: House, upstream: Upstream, clock: Clock
) -> None:
    prober = Prober(house.gateway, chance=random.Random(1))
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")

    await probes(house, clock, prober, after_s=OPEN_S / 2)
    assert upstream.bodies == []

    await probes(house, clock, prober, after_s=OPEN_S)

    assert [each["messages"][0]["content"] for each in upstream.bodies] == [QUESTION]
    assert house.gateway.health.pause_left("chan_1") == 0.0
    assert (await house.answer())[0] == 200


async def test_a_channel_that_still_fails_stays_out_and_is_asked_once_a_pause(
    house: House, upstream: Upstream, clock: Clock
) -> None:
    upstream.script = upstream.says(BROKEN)
    prober = Prober(house.gateway, chance=random.Random(1))
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")

    for _ in range(3):
        await probes(house, clock, prober, after_s=OPEN_S + 1)
        await probes(house, clock, prober, after_s=0)

    assert len(upstream.bodies) == 3
    assert house.gateway.health.pause_left("chan_1") > 0


async def test_a_channel_that_is_well_is_never_asked(house: House, upstream: Upstream, clock: Clock) -> None:
    house.gateway.health.failed("chan_1")
    prober = Prober(house.gateway)

    await probes(house, clock, prober, after_s=OPEN_S * 5)

    assert upstream.bodies == []


@pytest.mark.parametrize(
    ("answer", "words", "blames_credential"),
    [
        (whole(completion()), "It works.", False),
        (BROKEN, "It failed: status 503.", False),
        (whole(b"{}", "401 Unauthorized"), "The provider refused it: status 401.", True),
        (whole(b"<html>"), "The answer makes no sense.", False),
        (whole(b'{"error":{"message":"sk-secret"}}', "400 Bad Request"), "The provider found the question wrong.", False),
    ],
)  # fmt: skip
async def test_what_comes_of_a_question_is_told_in_words_of_ours(
    house: House, upstream: Upstream, answer: bytes, words: str, *, blames_credential: bool
) -> None:
    upstream.script = upstream.says(answer)
    found = cheapest(house.gateway.catalog.current, "chan_1")
    assert found is not None

    probed = await probe(house.gateway.client, *found)

    assert (probed.words, probed.is_well, probed.blames_credential) == (
        words,
        words == "It works.",
        blames_credential,
    )


async def test_a_channel_that_is_not_there_is_told_so(house: House, upstream: Upstream) -> None:
    upstream.port = 1
    await house.gateway.catalog.refresh()
    found = cheapest(house.gateway.catalog.current, "chan_1")
    assert found is not None

    assert (await probe(house.gateway.client, *found)).words == "It cannot be reached."
    assert cheapest(house.gateway.catalog.current, "chan_9") is None
