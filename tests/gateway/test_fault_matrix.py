"""Every fault of an upstream, whole and streamed, alone and with another channel at hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from billing.spool import Usage
from gateway.upstreams.http import HttpClient
from tests.gateway.conftest import Build
from tests.gateway.faults import FAULTS, SECRET, Fault, Seen
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, completion, event, whole

# Those faults that make one wait last until a deadline.
DEADLINES = {"first_token_s": 0.4, "idle_s": 0.4, "whole_s": 0.6, "stream_s": 5.0, "drain_s": 1.0}
MOST_ATTEMPTS = 3
STATUSES = {Seen.UNREACHABLE: 503, Seen.FAILED: 500, Seen.REFUSED: 400}
OUTCOMES = {Seen.BROKEN: "upstream_died", Seen.SERVED: "completed", Seen.CUT: "cut"}
CODES = {503: "service_unavailable", 500: "upstream_error", 400: "invalid_request"}
KINDS = ((False, "whole"), (True, "streamed"))


@pytest_asyncio.fixture
async def house(build: Build) -> House:
    house = await build(**DEADLINES)
    await house.gateway.client.close()
    house.gateway.client = HttpClient(connect_s=0.5, allow_private=True)
    return house


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a request, and what the books say of it."""

    status: int
    body: bytes
    usage: Usage
    held: list[int]

    @property
    def error(self) -> dict[str, Any]:
        """Return the error with which the body ends; nothing where there is none."""
        last = self.body.strip().rpartition(b"\n")[2].removeprefix(b"data: ")
        found: dict[str, Any] = {} if last == b"[DONE]" else json.loads(last).get("error", {})
        return found


async def _ask(house: House, upstream: Upstream, fault: Fault, *, is_stream: bool) -> Came:
    upstream.script = fault.stream if is_stream else fault.whole
    if fault.base_url:
        house.special = {"chan_1": {"base_url": fault.base_url.format(port=upstream.port)}}
    await house.gateway.catalog.refresh()
    status, body = await house.answer(stream=is_stream, max_tokens=500)
    (usage,) = house.records(Usage)
    assert usage.status == status
    assert usage.attempts <= MOST_ATTEMPTS
    # Nothing of the provider, our key with it, or where it is.
    for secret in (SECRET.encode(), b"sk-secret", b"10.0.0.7", b"169.254", b"127.0.0.1", b"<html"):
        assert secret not in body
    return Came(status, body, usage, list(house.holds.values()))


def _is_paid_within_its_hold(came: Came) -> bool:
    # A settled hold is what was paid, until the ledger knows of it.
    return 0 < came.usage.cost_nano <= came.usage.hold_nano and came.held == [came.usage.cost_nano]


def test_the_matrix_has_thirty_four_faults() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) == 34


CELLS = [
    pytest.param(fault, stream, id=f"{fault.name}, {kind}") for fault in FAULTS for stream, kind in KINDS
]


@pytest.mark.parametrize(("fault", "is_stream"), CELLS)
async def test_a_fault_that_nobody_helps_with_is_told_and_only_what_was_delivered_is_paid(
    house: House, upstream: Upstream, fault: Fault, *, is_stream: bool
) -> None:
    seen = fault.seen_in_stream if is_stream else fault.seen

    came = await _ask(house, upstream, fault, is_stream=is_stream)

    assert came.status == STATUSES.get(seen, 200)
    if came.status != 200:
        assert came.error["code"] == CODES[came.status]
        assert (came.usage.outcome, came.usage.cost_nano, came.held) == ("failed", 0, [])
    else:
        _check_delivered(came, seen)


@pytest.mark.parametrize(("fault", "is_stream"), CELLS)
async def test_a_fault_before_an_answer_is_not_seen_where_another_channel_can_serve(
    house: House, upstream: Upstream, second: Upstream, fault: Fault, *, is_stream: bool
) -> None:
    seen = fault.seen_in_stream if is_stream else fault.seen
    hello = SSE_HEAD + event("hello") + DONE + SSE_END if is_stream else whole(completion())
    second.script = second.says(hello)

    came = await _ask(house, upstream, fault, is_stream=is_stream)

    if seen in {Seen.UNREACHABLE, Seen.FAILED}:
        assert (came.status, came.error, b"hello" in came.body) == (200, {}, True)
        assert came.usage.channel_id == "chan_2"
        assert _is_paid_within_its_hold(came)
        return
    # What the caller asked wrongly, or has begun to hear, is nobody else's to answer.
    assert second.bodies == []
    assert came.status == STATUSES.get(seen, 200)
    if seen is Seen.REFUSED:
        assert (came.usage.cost_nano, came.held) == (0, [])
    else:
        _check_delivered(came, seen)


def _check_delivered(came: Came, seen: Seen) -> None:
    assert _is_paid_within_its_hold(came)
    assert came.usage.is_estimated
    assert came.usage.outcome == OUTCOMES[seen]
    assert bool(came.error) is (seen is Seen.BROKEN)
    assert (b"[DONE]" in came.body) is (seen is Seen.CUT)
    assert (b'"finish_reason":"length"' in came.body) is (seen is Seen.CUT)
