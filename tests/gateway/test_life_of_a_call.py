"""What happens to a call, its hold and its record when something goes wrong at an awkward moment."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from typing import Any

import pytest

from billing import holds
from billing.spool import Intent, Usage, Void
from gateway.credentials import Credentials
from gateway.stages import relay
from tests.gateway.conftest import Build
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, chunked, completion, event, whole


async def test_a_plain_call_is_recorded_and_leaves_its_cost_held(house: House) -> None:
    status, _ = await house.answer()

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.cost_nano) == (200, "completed", 15)
    assert list(house.holds.values()) == [15]


async def test_a_caller_who_leaves_before_the_upstream_is_asked_costs_nothing(
    house: House, upstream: Upstream
) -> None:
    house.may_open.clear()
    reply = house.ask()
    await asyncio.sleep(0.05)

    reply.leave()
    house.may_open.set()
    await house.settled()

    assert upstream.bodies == []
    assert house.records(Usage) == house.records(Intent) == []
    assert house.holds == {}


async def test_a_caller_who_leaves_while_a_connection_is_made_is_not_waited_for(
    build: Build, upstream: Upstream
) -> None:
    house = await build(drain_s=0.3)
    connect = house.gateway.client.connect

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0.1)
        return await connect(*arguments, **options)

    house.gateway.client.connect = slowly  # type: ignore[method-assign]
    upstream.script = upstream.says(b"", pause_s=5)
    reply = house.ask()
    await asyncio.sleep(0.05)

    reply.leave()
    started = time.monotonic()
    await house.settled()

    assert time.monotonic() - started < 2


async def test_the_silence_after_a_late_first_token_is_counted_anew(build: Build, upstream: Upstream) -> None:
    house = await build(first_token_s=0.8, idle_s=3)

    async def late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(SSE_HEAD + event("a"))
        await asyncio.sleep(1)
        writer.write(event("b") + DONE + SSE_END)

    upstream.script = late

    _, body = await house.answer(stream=True)

    assert body.endswith(b"[DONE]\n\n")


async def test_silence_after_the_first_token_is_not_suffered_as_long_as_before_it(
    build: Build, upstream: Upstream
) -> None:
    house = await build(first_token_s=10, idle_s=0.3)
    upstream.script = upstream.says(SSE_HEAD + event("a"), pause_s=5)
    started = time.monotonic()

    _, body = await house.answer(stream=True)

    assert time.monotonic() - started < 2
    assert b"upstream_error" in body


async def test_a_model_that_thinks_unseen_is_waited_for_longer(build: Build, upstream: Upstream) -> None:
    house = await build(first_token_s=1.5, idle_s=0.2, thinking_s=10)
    house.capabilities = frozenset({"reasoning"})
    await house.gateway.catalog.refresh()

    async def thinks(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2.2)
        writer.write(SSE_HEAD + event("a"))
        await asyncio.sleep(0.8)
        writer.write(DONE + SSE_END)

    upstream.script = thinks

    _, body = await house.answer(stream=True)

    assert body.endswith(b"[DONE]\n\n")
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "429 Too Many Requests", "500 Oops"]
)
async def test_an_endless_error_text_changes_nothing_about_its_status(
    house: House, upstream: Upstream, status: str
) -> None:
    upstream.script = upstream.says(whole(b"x" * 200_000, status))
    long = (await house.answer())[0], len(upstream.bodies)
    upstream.bodies.clear()
    fresh_health(house)

    upstream.script = upstream.says(whole(b"x", status))
    short = (await house.answer())[0], len(upstream.bodies)

    assert long == short
    told, expected = ([each[:4] for each in usage.attempts_made] for usage in house.records(Usage))
    assert told == expected


async def test_an_error_whose_text_never_comes_is_not_waited_for(house: House, upstream: Upstream) -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 10\r\n\r\n"
    upstream.script = upstream.says(head, pause_s=20)
    started = time.monotonic()

    status, _ = await house.answer()

    assert time.monotonic() - started < 8
    assert (status, len(upstream.bodies)) == (503, 1)
    assert [usage.outcome for usage in house.records(Usage)] == ["failed"]


def fresh_health(house: House) -> None:
    house.gateway.health.succeeded("chan_1")
    house.gateway.credentials = Credentials()


async def test_a_disk_that_fills_up_breaks_no_running_stream(
    house: House, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("a"))
        fill(house, monkeypatch)
        for _ in range(20):
            await asyncio.sleep(0.02)
            writer.write(event("b"))
        writer.write(DONE + SSE_END)

    upstream.script = script
    monkeypatch.setattr(relay, "CHECKPOINT_S", 0.01)

    _, body = await house.answer(stream=True)

    assert body.endswith(b"[DONE]\n\n")
    (usage,) = house.records(Usage)
    assert usage.outcome == "completed"


def fill(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave room for one last record in the spool's segment, and none for another segment."""

    def no_space(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_space)
    spool = house.gateway.spool
    while spool._offset < spool._segment_bytes - 450:
        spool.append(Void("req_filling"))


async def test_usage_that_cannot_be_written_does_not_keep_its_hold_alive(
    house: House, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fill(house, monkeypatch)
        house.gateway.spool._offset = house.gateway.spool._segment_bytes
        writer.write(whole(completion()))

    upstream.script = script

    status, _ = await house.answer()

    assert status == 500
    assert house.gateway.holds._running == {}


async def test_an_absurd_usage_report_is_not_believed(house: House, upstream: Upstream) -> None:
    usage = {"prompt_tokens": 10**17, "completion_tokens": 10**30, "total_tokens": 10**30}
    upstream.script = upstream.says(whole(completion(usage=usage)))

    status, _ = await house.answer()

    (record,) = house.records(Usage)
    assert (status, record.outcome, record.is_estimated) == (200, "completed", True)
    assert house.gateway.holds._running == {}


async def test_what_an_upstream_gives_as_its_reason_cannot_fill_the_spool(
    house: House, upstream: Upstream
) -> None:
    choice = {"index": 0, "message": {"content": "hello"}, "finish_reason": "x" * 3_000_000}
    upstream.script = upstream.says(whole(completion(choices=[choice])))
    await house.answer()
    upstream.script = upstream.says(whole(completion()))
    await house.answer()

    assert [usage.cost_nano for usage in house.records(Usage)] == [15, 15]


async def test_of_two_explicit_maxima_the_larger_is_held(house: House, upstream: Upstream) -> None:
    held: list[int] = []

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.extend(house.holds.values())
        writer.write(whole(completion()))

    upstream.script = script
    await house.answer(max_tokens=1, max_completion_tokens=5_000)

    # Upstreams differ in which of the two they obey.
    assert held[0] >= 5_000


async def test_a_bound_leaves_each_choice_a_token(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(SSE_HEAD + event("a", finish_reason="stop"), DONE + SSE_END)
    # Enough for the input and three tokens.
    house.balance_nano = 36

    await house.answer(stream=True, n=8)

    assert [body["max_tokens"] for body in upstream.bodies if body.get("max_tokens", 1) < 1] == []


async def test_a_hold_that_valkey_lost_in_mid_stream_is_our_fault(house: House, upstream: Upstream) -> None:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("a"))
        await asyncio.sleep(0.1)
        house.valkey.flushdb()
        writer.write(event("b" * 4 * 3_000))
        await asyncio.sleep(0.5)

    upstream.script = script

    _, body = await house.answer(stream=True)

    (usage,) = house.records(Usage)
    assert b'"service_unavailable"' in body
    assert (usage.outcome, usage.cost_nano, usage.error_code) == ("free", 0, "service_unavailable")


async def test_a_connection_is_used_again_after_a_stream_whose_end_comes_late(
    house: House, upstream: Upstream
) -> None:
    upstream.script = upstream.says(SSE_HEAD + event("a") + DONE, SSE_END, pause_s=0.05)

    for _ in range(3):
        await house.answer(stream=True)
        await asyncio.sleep(0.1)

    assert upstream.connections == 1


async def test_an_event_written_on_several_lines_reaches_the_caller_whole(
    house: House, upstream: Upstream
) -> None:
    lines = (
        b'data: {"id":"1","model":"m",\ndata: "choices":[{"index":0,"delta":{"content":"two lines"}}]}\n\n'
    )
    upstream.script = upstream.says(SSE_HEAD + chunked(lines) + DONE + SSE_END)

    _, body = await house.answer(stream=True)

    assert all(line.startswith(b"data: ") for line in body.split(b"\n") if line)
    assert b"two lines" in body


async def test_a_stalled_body_of_a_stream_never_lives_forever(build: Build, upstream: Upstream) -> None:
    house = await build(idle_s=0.4, first_token_s=1)

    async def comments(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("a"))
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                writer.write(chunked(b": still here\n\n"))
                await writer.drain()
                await asyncio.sleep(0.05)

    upstream.script = comments
    started = time.monotonic()

    await house.answer(stream=True)

    assert time.monotonic() - started < 2
    (usage,) = house.records(Usage)
    assert usage.outcome == "upstream_died"


async def test_a_connection_whose_answer_never_ends_is_let_go(house: House, upstream: Upstream) -> None:
    hung_up = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("a") + DONE)
        await reader.read()
        hung_up.set()

    upstream.script = script

    _, body = await house.answer(stream=True)

    assert body.endswith(b"[DONE]\n\n")
    await asyncio.wait_for(hung_up.wait(), 3)


async def test_a_wallet_that_does_not_open_is_not_waited_for_without_end(
    house: House, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "OPEN_S", 0.2)
    house.may_open.clear()

    status, _ = await asyncio.wait_for(house.answer(), 3)

    assert status == 503
    assert upstream.bodies == []


async def test_thoughts_that_a_stream_does_not_show_are_held_as_well(
    house: House, upstream: Upstream
) -> None:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tokens = upstream.bodies[-1].get("max_tokens", 8_192)
        await asyncio.sleep(0.2)
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
        report = chunked(b"data: " + completion(choices=[], usage=usage) + b"\n\n")
        writer.write(SSE_HEAD + event("a", finish_reason="stop") + report + DONE + SSE_END)

    upstream.script = script
    house.balance_nano = 20_000
    house.capabilities = frozenset({"reasoning"})
    await house.gateway.catalog.refresh()

    answers = await asyncio.gather(*(house.answer(stream=True) for _ in range(20)))

    assert [status for status, _ in answers].count(200) > 1
    assert sum(usage.cost_nano for usage in house.records(Usage)) <= house.balance_nano
