"""Stored responses on the way of a request: what goes before it, what is kept after it, and what it may cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from accounts.archive import ArchiveFull, Kept
from billing.spool import Usage
from gateway import background
from gateway.call import Request
from gateway.formats.responses import Responses
from gateway.pipeline import serve
from gateway.reply import Reply
from tests.gateway.conftest import Build
from tests.gateway.house import (
    DONE,
    ORGANIZATION,
    SSE_END,
    SSE_HEAD,
    House,
    chunked,
    completion,
    event,
    whole,
)


def _ask(house: House, **fields: Any) -> Reply:
    body = {"model": "m", "input": "hi", **fields}
    headers = {"authorization": f"Bearer {house.token}", "content-type": "application/json"}
    return serve(house.gateway, Request(headers, json.dumps(body).encode(), Responses()))


async def _read(house: House, reply: Reply) -> bytes:
    await reply.begun()
    body = b""
    while (piece := await reply.piece()) is not None:
        body += piece
    return body


async def _answer(house: House, **fields: Any) -> tuple[Reply, dict[str, Any]]:
    reply = _ask(house, **fields)
    body = await _read(house, reply)
    await house.settled()
    return reply, json.loads(body)


async def _stream(house: House, **fields: Any) -> tuple[Reply, list[dict[str, Any]]]:
    reply = _ask(house, stream=True, **fields)
    body = await _read(house, reply)
    await house.settled()
    events = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: {")]
    return reply, [json.loads(each) for each in events]


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for knows no event
            await asyncio.sleep(0.01)


def _said(house: House) -> list[tuple[str, str]]:
    """Return the roles and texts of the last request upstream."""

    def text(content: Any) -> str:
        return content if isinstance(content, str) else "".join(part["text"] for part in content)

    return [(each["role"], text(each["content"])) for each in house.upstream.bodies[-1]["messages"]]


async def test_an_answer_is_kept_before_it_is_handed_over(house: House) -> None:
    reply = _ask(house)
    body = json.loads(await _read(house, reply))

    kept = house.shelf.kept[body["id"]]
    assert (kept.organization_id, kept.key_id, kept.model_id) == (ORGANIZATION, "key_1", "m")
    assert json.loads(bytes(kept.read().response)) == body
    assert body["store"] is True


async def test_a_stream_is_kept_before_its_last_event_is_handed_over(house: House) -> None:
    house.upstream.script = house.upstream.says(SSE_HEAD, event("hel"), event("lo"), DONE, SSE_END)
    house.shelf.answers.clear()
    reply = _ask(house, stream=True)
    await reply.begun()
    seen = b""
    while b"lo" not in seen:
        seen += await reply.piece() or b""
    await asyncio.sleep(0.05)
    assert b"response.completed" not in seen + reply.take()

    house.shelf.answers.set()
    rest = await _read(house, reply)

    (data,) = [
        line for line in rest.split(b"\n") if b'"response.completed"' in line and line.startswith(b"data")
    ]
    response = json.loads(data.removeprefix(b"data: "))["response"]
    assert json.loads(bytes(house.shelf.kept[response["id"]].read().response)) == response


async def test_store_false_keeps_nothing(house: House) -> None:
    house.upstream.script = house.upstream.says(whole(completion()))
    _, body = await _answer(house, store=False)

    assert body["store"] is False
    assert house.shelf.kept == {}


async def test_three_turns_reach_the_upstream_in_order_without_earlier_instructions(house: House) -> None:
    _, first = await _answer(house, input="one", instructions="Be first.")
    _, second = await _answer(house, input="two", previous_response_id=first["id"])
    await _answer(house, input="three", previous_response_id=second["id"], instructions="Be third.")

    assert _said(house) == [
        ("system", "Be third."),
        ("user", "one"),
        ("assistant", "hello"),
        ("user", "two"),
        ("assistant", "hello"),
        ("user", "three"),
    ]


async def test_a_conversation_goes_on_after_a_search(house: House) -> None:
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "x"},
    }
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "found", "annotations": []}],
    }

    reply, _ = await _answer(
        house, input=[{"role": "user", "content": "one"}, search, said, {"role": "user", "content": "two"}]
    )

    assert reply.status == 200
    assert [text for _, text in _said(house)] == ["one", "found", "two"]


async def test_items_of_kept_responses_may_be_named_by_their_ids(house: House) -> None:
    _, first = await _answer(house, input="one")
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    _, second = await _answer(
        house, input=[{"role": "user", "content": "one"}, named, {"role": "user", "content": "two"}]
    )
    latest = {"type": "item_reference", "id": second["output"][0]["id"]}
    house.shelf.kept.pop(first["id"])

    reply, _ = await _answer(house, input=[named, latest, {"role": "user", "content": "three"}])

    assert reply.status == 200
    assert _said(house) == [("assistant", "hello"), ("assistant", "hello"), ("user", "three")]


async def test_items_of_strangers_and_of_nobody_are_refused_by_their_place(house: House) -> None:
    _, answer = await _answer(house)
    kept = house.shelf.kept[answer["id"]]
    house.shelf.kept[answer["id"]] = replace(kept, organization_id="org_else")
    text = {"role": "user", "content": "two"}

    for name in (answer["output"][0]["id"], answer["output"][0]["id"][:-1] + "7", "msg_1"):
        reply, refused = await _answer(house, input=[text, {"type": "item_reference", "id": name}])

        assert (reply.status, refused["error"]["param"]) == (400, "input[1]")
        assert name in refused["error"]["message"]


async def test_a_branch_sees_its_own_past_only(house: House) -> None:
    _, first = await _answer(house, input="one")
    await _answer(house, input="two", previous_response_id=first["id"])
    await _answer(house, input="other", previous_response_id=first["id"])

    assert [text for _, text in _said(house)] == ["one", "hello", "other"]


async def test_the_hold_covers_what_was_said_before(house: House) -> None:
    _, first = await _answer(house, input="x" * 8_000)
    house.shelf.answers.set()

    async def waits(*_: object) -> None:
        await asyncio.sleep(60)

    house.upstream.script = waits
    held = []
    for fields in ({}, {"previous_response_id": first["id"]}):
        before, asked = sum(house.holds.values()), len(house.upstream.bodies)
        reply = _ask(house, input="y", max_output_tokens=10, store=False, **fields)
        await _until(lambda asked=asked: len(house.upstream.bodies) > asked)  # type: ignore[misc]
        held.append(sum(house.holds.values()) - before)
        reply.leave()

    # At the tests' price an input token costs one nano-USD.
    assert held[1] - held[0] >= 4_000


async def test_an_unknown_previous_response_is_refused_before_anything_is_held(house: House) -> None:
    for name in ("resp_unknown", "nonsense", "resp_\u0000", "resp_" + "x" * 400):
        reply, body = await _answer(house, previous_response_id=name)

        assert reply.status == 400
        assert body["error"]["code"] == "previous_response_not_found"
        assert body["error"]["param"] == "previous_response_id"
    assert house.upstream.bodies == []
    assert house.holds == {}


async def test_another_organizations_response_is_unknown(house: House) -> None:
    _, first = await _answer(house)
    (kept,) = house.shelf.kept.values()
    house.shelf.kept[kept.id] = type(kept)(
        kept.id, "org_other", kept.key_id, kept.model_id, kept.status, kept.created_at, kept.body
    )

    reply, body = await _answer(house, previous_response_id=first["id"])

    assert (reply.status, body["error"]["code"]) == (400, "previous_response_not_found")


async def test_a_store_that_is_away_at_read_is_503_and_costs_nothing(house: House) -> None:
    _, first = await _answer(house)
    house.shelf.answers.clear()

    reply, body = await _answer(house, previous_response_id=first["id"])

    assert reply.status == 503
    assert dict(reply.headers)["retry-after"] == "1"
    assert body["error"]["code"] == "service_unavailable"
    assert len(house.upstream.bodies) == 1


async def test_a_store_that_is_away_at_write_costs_the_storing_and_not_the_answer(house: House) -> None:
    house.shelf.answers.clear()

    reply, body = await _answer(house)

    assert (reply.status, body["status"], body["store"]) == (200, "completed", False)
    headers = dict(reply.headers)
    assert (headers["x-fa-degraded"], headers["x-fa-not-stored"]) == ("1", "unavailable")
    assert [record.outcome for record in house.records(Usage)] == ["completed"]


async def test_a_stream_that_cannot_be_kept_says_so_in_its_last_event(house: House) -> None:
    house.upstream.script = house.upstream.says(SSE_HEAD, event("hello"), DONE, SSE_END)
    house.shelf.answers.clear()

    _, events = await _stream(house)

    last = events[-1]
    assert (last["type"], last["response"]["store"]) == ("response.completed", False)
    assert last["sequence_number"] == len(events) - 1
    assert last["response"]["output"][0]["content"][0]["text"] == "hello"


async def test_what_is_too_large_is_answered_and_not_kept(house: House) -> None:
    reply, body = await _answer(house, input="x" * 100_001)

    assert (reply.status, body["store"]) == (200, False)
    assert reply.headers.count(("x-fa-not-stored", "too_large")) == 1
    assert "x-fa-degraded" not in dict(reply.headers)
    assert house.shelf.kept == {}


async def test_a_stream_whose_input_is_too_large_says_so_before_it_begins(house: House) -> None:
    house.upstream.script = house.upstream.says(SSE_HEAD, event("hello"), DONE, SSE_END)

    reply, events = await _stream(house, input="x" * 100_001)

    assert reply.headers.count(("x-fa-not-stored", "too_large")) == 1
    assert events[-1]["response"]["store"] is False
    assert house.shelf.kept == {}


async def test_input_that_is_too_large_for_the_background_is_refused_and_costs_nothing(house: House) -> None:
    reply, body = await _answer(house, input="x" * 100_001, background=True)

    assert (reply.status, body["error"]["param"]) == (400, "input")
    assert house.upstream.bodies == []
    assert house.holds == {}


def _fill(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the organization have kept as much as it may."""

    async def full(_kept: Kept) -> None:
        raise ArchiveFull

    monkeypatch.setattr(house.gateway.archive, "keep", full)


async def test_a_full_archive_costs_the_storing_and_not_the_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(house, monkeypatch)

    reply, body = await _answer(house)

    assert (reply.status, body["store"]) == (200, False)
    assert ("x-fa-not-stored", "full") in reply.headers
    assert "x-fa-degraded" not in dict(reply.headers)


async def test_no_background_work_is_begun_for_a_full_archive(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(house, monkeypatch)

    reply, body = await _answer(house, background=True)

    assert (reply.status, body["error"]["param"]) == (400, "background")
    assert house.upstream.bodies == []
    assert house.holds == {}


async def test_a_stream_that_broke_is_not_kept(house: House) -> None:
    house.upstream.script = house.upstream.says(SSE_HEAD, event("hel"), close=True)

    _, events = await _stream(house)

    assert events[-1]["type"] in {"error", "response.failed"}
    assert house.shelf.kept == {}


async def test_a_whole_answer_whose_caller_left_is_not_kept(house: House) -> None:
    house.upstream.script = house.upstream.says(b"", whole(completion()), pause_s=0.2)
    reply = _ask(house)
    await _until(lambda: bool(house.upstream.bodies))
    reply.leave()
    await house.settled()

    assert [record.outcome for record in house.records(Usage)] == ["client_left"]
    assert house.shelf.kept == {}


async def test_a_stream_whose_caller_left_is_kept_all_the_same(house: House) -> None:
    house.upstream.script = house.upstream.says(
        SSE_HEAD, event("hel"), event("lo"), DONE, SSE_END, pause_s=0.05
    )
    reply = _ask(house, stream=True)
    await reply.begun()
    reply.leave()
    await house.settled()

    (kept,) = house.shelf.kept.values()
    assert kept.status == "completed"


# In the background.


async def test_background_work_is_answered_at_once_and_ends_in_the_archive(house: House) -> None:
    may_answer = asyncio.Event()

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(whole(completion("done")))

    house.upstream.script = script
    reply = _ask(house, background=True, metadata={"a": "b"})
    begun = json.loads(await _read(house, reply))

    assert (begun["status"], begun["background"], begun["output"]) == ("in_progress", True, [])
    assert begun["metadata"] == {"a": "b"}
    assert house.shelf.kept[begun["id"]].status == "in_progress"
    assert len(house.holds) == 1

    may_answer.set()
    await house.settled()

    kept = house.shelf.kept[begun["id"]]
    ended = json.loads(bytes(kept.read().response))
    assert (kept.status, ended["status"], ended["id"]) == ("completed", "completed", begun["id"])
    assert (ended["background"], ended["store"]) == (True, True)
    assert ended["output"][0]["content"][0]["text"] == "done"
    (record,) = house.records(Usage)
    assert record.outcome == "completed"
    # What is left of the hold is the cost, until the shipper has booked it.
    assert list(house.holds.values()) == [record.cost_nano]
    assert house.gateway.background == {}


async def test_background_work_goes_on_from_an_earlier_response_and_is_gone_on_from(house: House) -> None:
    _, first = await _answer(house, input="one")
    _, second = await _answer(house, input="two", previous_response_id=first["id"], background=True)
    await _answer(house, input="three", previous_response_id=second["id"])

    assert [text for _, text in _said(house)] == ["one", "hello", "two", "hello", "three"]


async def test_unfinished_work_cannot_be_gone_on_from(house: House) -> None:
    async def waits(*_: object) -> None:
        await asyncio.sleep(60)

    house.upstream.script = waits
    begun = json.loads(await _read(house, _ask(house, background=True)))

    refused = json.loads(await _read(house, _ask(house, previous_response_id=begun["id"])))

    assert refused["error"]["param"] == "previous_response_id"
    assert "in progress" in refused["error"]["message"]


async def test_background_work_that_fails_says_why_and_costs_nothing(house: House) -> None:
    house.upstream.script = house.upstream.says(whole(b"{}", "500 No"))

    _, begun = await _answer(house, background=True)

    ended = json.loads(bytes(house.shelf.kept[begun["id"]].read().response))
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "server_error"
    assert "provider" in ended["error"]["message"]
    assert sum(record.cost_nano for record in house.records(Usage)) == 0
    assert house.holds == {}


async def test_background_work_that_is_refused_blames_the_request(house: House) -> None:
    house.upstream.script = house.upstream.says(whole(b'{"error": {"message": "No."}}', "400 No"))

    _, begun = await _answer(house, background=True)

    ended = json.loads(bytes(house.shelf.kept[begun["id"]].read().response))
    assert ended["error"] == {"code": "invalid_prompt", "message": "No."}


async def test_cancelled_work_ends_and_is_billed_as_if_its_caller_had_left(build: Build) -> None:
    house = await build(drain_s=0.1)

    async def waits(*_: object) -> None:
        await asyncio.sleep(60)

    house.upstream.script = waits
    begun = json.loads(await _read(house, _ask(house, background=True)))
    await _until(lambda: bool(house.upstream.bodies))
    cancelled = await house.gateway.archive.cancel(ORGANIZATION, begun["id"])
    assert cancelled is not None

    await background.hear(house.gateway, begun["id"])
    await house.settled()

    (record,) = house.records(Usage)
    assert (record.outcome, record.is_estimated, record.output_tokens) == ("client_left", True, 0)
    assert house.shelf.kept[begun["id"]].status == "cancelled"
    assert list(house.holds.values()) == [record.cost_nano]


async def test_a_missed_cancellation_is_learnt_at_the_next_renewal(build: Build) -> None:
    house = await build(drain_s=0.1)

    async def waits(*_: object) -> None:
        await asyncio.sleep(60)

    house.upstream.script = waits
    gone = json.loads(await _read(house, _ask(house, background=True)))
    stays = json.loads(await _read(house, _ask(house, background=True)))
    await house.gateway.archive.delete(ORGANIZATION, gone["id"])

    await background.renew(house.gateway)

    await _until(lambda: list(house.gateway.background) == [stays["id"]])


async def test_background_work_that_cannot_be_kept_is_not_begun(house: House) -> None:
    house.shelf.answers.clear()

    reply, body = await _answer(house, background=True)

    assert (reply.status, body["error"]["code"]) == (503, "service_unavailable")
    assert house.upstream.bodies == []
    assert house.holds == {}
    assert house.gateway.background == {}


async def test_the_end_of_background_work_waits_for_the_store_to_come_back(house: House) -> None:
    may_answer = asyncio.Event()

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(whole(completion("done")))

    house.upstream.script = script
    begun = json.loads(await _read(house, _ask(house, background=True)))
    house.shelf.answers.clear()
    may_answer.set()
    await _until(lambda: len(house.records(Usage)) == 1)
    await asyncio.sleep(0.1)
    (record,) = house.records(Usage)
    assert list(house.holds.values()) == [record.cost_nano]

    house.shelf.answers.set()
    await house.settled()

    assert house.shelf.kept[begun["id"]].status == "completed"


async def test_what_background_work_cannot_be(house: House) -> None:
    for fields, param in (({"store": False}, "store"), ({"stream": True}, "stream")):
        reply, body = await _answer(house, background=True, **fields)

        assert (reply.status, body["error"]["param"]) == (400, param)
    assert house.upstream.bodies == []


@pytest.mark.parametrize(
    ("capabilities", "store", "wants"),
    [({"reasoning"}, True, True), ({"reasoning"}, False, False), ((), True, False)],
)
async def test_seals_of_thoughts_are_asked_for_where_someone_may_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch, capabilities: Any, store: object, wants: object
) -> None:
    house.capabilities = frozenset(capabilities)
    await house.gateway.catalog.refresh()
    asked: list[bool] = []
    render = Responses.render

    def noting(self: Responses, result: Any, usage: Any, attempt: Any) -> bytes:
        asked.append(attempt.asked.form().reasoning.wants_seal)
        return render(self, result, usage, attempt)

    monkeypatch.setattr(Responses, "render", noting)

    await _answer(house, store=store)

    assert asked == [wants]


async def test_words_that_look_like_an_event_are_kept_as_words(house: House) -> None:
    words = "event: response.completed\ndata: {}\n\n"
    house.upstream.script = house.upstream.says(SSE_HEAD, event(words), DONE, SSE_END)

    _, events = await _stream(house)

    (kept,) = house.shelf.kept.values()
    assert json.loads(bytes(kept.read().response)) == events[-1]["response"]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == words


# Where the upstream speaks Responses, too.


def _response(text: str = "hello") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    return {
        "id": "resp_theirs",
        "status": "completed",
        "output": [message],
        "usage": usage,
        "created_at": None,
    }


async def test_nothing_is_kept_upstream_and_everything_here(house: House) -> None:
    house.adapter = "openai_responses"
    await house.gateway.catalog.refresh()
    house.upstream.script = house.upstream.says(whole(json.dumps(_response()).encode()))

    _, first = await _answer(house, input="one")
    await _answer(house, input="two", previous_response_id=first["id"])

    sent = house.upstream.bodies[-1]
    assert sent["store"] is False
    assert "previous_response_id" not in sent
    assert [each.get("role") for each in sent["input"]] == ["user", "assistant", "user"]
    assert first["id"] in house.shelf.kept
    assert "resp_theirs" not in json.dumps(first)


async def test_a_stream_that_is_passed_on_is_kept(house: House) -> None:
    house.adapter = "openai_responses"
    await house.gateway.catalog.refresh()
    begun = {
        "type": "response.created",
        "sequence_number": 0,
        "response": _response() | {"status": "in_progress"},
    }
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "hello", "output_index": 0}
    ended = {"type": "response.completed", "sequence_number": 2, "response": _response()}
    sent = [chunked(b"data: " + json.dumps(each).encode() + b"\n\n") for each in (begun, delta, ended)]
    house.upstream.script = house.upstream.says(SSE_HEAD, *sent, SSE_END)

    _, events = await _stream(house)

    last = events[-1]["response"]
    assert json.loads(bytes(house.shelf.kept[last["id"]].read().response)) == last


# Where the upstream signs its thoughts.


async def test_a_signed_thought_goes_back_with_the_result_of_its_tool(house: House) -> None:
    house.adapter, house.capabilities = "anthropic", frozenset({"reasoning", "tools"})
    await house.gateway.catalog.refresh()
    thought = {"type": "thinking", "thinking": "Look it up.", "signature": "c2lnbmVk"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "x"}}
    answer = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [thought, call],
        "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5},
    }  # fmt: skip
    house.upstream.script = house.upstream.says(whole(json.dumps(answer).encode()))
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    fields: dict[str, Any] = {"tools": [tool], "reasoning": {"effort": "low"}, "max_output_tokens": 4_000}

    _, first = await _answer(house, **fields)
    result = {"type": "function_call_output", "call_id": "toolu_1", "output": "seen"}
    await _answer(house, input=[result], previous_response_id=first["id"], **fields)

    asked, called, told = house.upstream.bodies[-1]["messages"]
    assert asked["role"] == "user"
    assert called["content"] == [thought, call]
    assert told["content"][0]["tool_use_id"] == "toolu_1"
