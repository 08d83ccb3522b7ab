"""Thoughts that a client drops come back to the provider that wants them, and to nobody else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.conf import settings

from fastanchor.lib.valkey import TurnPipeline
from gateway.form import Form, Message, Text, Thinking, ToolCall
from gateway.keepsakes import MAX_TURNS, Keepsake, lacking
from gateway.memory import MAX_BYTES, Memory
from tests.gateway.house import ORGANIZATION, SSE_END, SSE_HEAD, House, Upstream, chunked, completion, whole

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
QUESTION = {"role": "user", "content": "What is behind the door?"}
THOUGHT = "I had better look."
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def history(*, question: dict[str, str] = QUESTION, call: dict[str, Any] = CALL, **turn: Any) -> list[Any]:
    """Return what a client sends that keeps only the calls of the answer."""
    answer = {"role": "assistant", "content": None, "tool_calls": [call], **turn}
    return [question, answer, {"role": "tool", "tool_call_id": call["id"], "content": "a cat"}]


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return chunked(
        b"data: " + json.dumps({"id": "up_1", "model": "m", "choices": [choice]}).encode() + b"\n\n"
    )


def thought_as_a_whole() -> bytes:
    message = {"role": "assistant", "content": None, "reasoning_content": THOUGHT, "tool_calls": [CALL]}
    return whole(completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}]))


def thought_in_pieces() -> tuple[bytes, ...]:
    return (
        SSE_HEAD,
        chunk({"role": "assistant", "reasoning_content": THOUGHT[:5]}),
        chunk({"reasoning_content": THOUGHT[5:]}),
        chunk({"tool_calls": [{"index": 0, **CALL}]}),
        chunk({}, "tool_calls"),
        chunked(b"data: [DONE]\n\n"),
        SSE_END,
    )


async def reasoning(house: House, provider: str, adapter: str = "openai") -> House:
    """Let the house's upstream be one that reasons."""
    house.provider, house.adapter = provider, adapter
    house.capabilities = frozenset({"tools", "reasoning", "streaming"})
    await house.gateway.catalog.refresh()
    return house


@pytest.mark.parametrize("is_stream", [False, True])
async def test_deepseek_gets_the_thoughts_back_that_a_client_dropped(
    house: House, upstream: Upstream, *, is_stream: bool
) -> None:
    await reasoning(house, "deepseek")
    upstream.script = (
        upstream.says(*thought_in_pieces()) if is_stream else upstream.says(thought_as_a_whole())
    )
    await house.answer(messages=[QUESTION], tools=TOOLS, stream=is_stream)
    upstream.script = upstream.says(whole(completion()))

    status, _ = await house.answer(messages=history(), tools=TOOLS)

    sent = upstream.bodies[-1]["messages"][1]
    assert (status, sent["reasoning_content"], sent["tool_calls"]) == (200, THOUGHT, [CALL])


async def test_what_the_client_sends_itself_is_not_replaced(house: House, upstream: Upstream) -> None:
    await reasoning(house, "deepseek")
    upstream.script = upstream.says(thought_as_a_whole())
    await house.answer(messages=[QUESTION], tools=TOOLS)

    await house.answer(messages=history(reasoning_content="my own"), tools=TOOLS)

    assert upstream.bodies[-1]["messages"][1]["reasoning_content"] == "my own"


async def test_another_conversation_with_a_call_of_the_same_id_learns_nothing(
    house: House, upstream: Upstream
) -> None:
    await reasoning(house, "deepseek")
    upstream.script = upstream.says(thought_as_a_whole())
    await house.answer(messages=[QUESTION], tools=TOOLS)

    await house.answer(messages=history(question={"role": "user", "content": "Another"}), tools=TOOLS)

    assert upstream.bodies[-1]["messages"][1]["reasoning_content"] == " "


async def test_without_valkey_the_fallback_serves(house: House, upstream: Upstream) -> None:
    await reasoning(house, "deepseek")
    upstream.script = upstream.says(thought_as_a_whole())
    lost = TurnPipeline("redis://127.0.0.1:1/0")
    house.gateway.memory = Memory(lost, ring=settings.ARCHIVE_KEYS)

    first, _ = await house.answer(messages=[QUESTION], tools=TOOLS)
    second, _ = await house.answer(messages=history(), tools=TOOLS)
    await lost.close()

    assert (first, second) == (200, 200)
    assert upstream.bodies[-1]["messages"][1]["reasoning_content"] == " "


async def test_anthropic_gets_its_signature_back(house: House, upstream: Upstream) -> None:
    await reasoning(house, "anthropic", "anthropic")
    blocks = [
        {"type": "thinking", "thinking": THOUGHT, "signature": "sig=="},
        {"type": "redacted_thinking", "data": "dark=="},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    ]
    answer = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks,
        "stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 7},
    }  # fmt: skip
    upstream.script = upstream.says(whole(json.dumps(answer).encode()))
    _, body = await house.answer(messages=[QUESTION], tools=TOOLS, reasoning_effort="low", max_tokens=8000)
    (call,) = json.loads(body)["choices"][0]["message"]["tool_calls"]

    await house.answer(messages=history(call=call), tools=TOOLS, reasoning_effort="low", max_tokens=8000)

    sent = upstream.bodies[-1]
    assert sent["messages"][1]["content"] == blocks
    assert sent["thinking"]["type"] == "enabled"


async def test_gemini_gets_the_signature_of_a_call_back(house: House, upstream: Upstream) -> None:
    await reasoning(house, "google", "gemini")
    part = {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2ln"}
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
    }
    upstream.script = upstream.says(whole(json.dumps(answer).encode()))
    _, body = await house.answer(messages=[QUESTION], tools=TOOLS)
    (call,) = json.loads(body)["choices"][0]["message"]["tool_calls"]
    del call["extra_content"]

    await house.answer(messages=history(call=call), tools=TOOLS)

    turns = upstream.bodies[-1]["contents"]
    assert [each["thoughtSignature"] for each in turns[1]["parts"] if "functionCall" in each] == ["c2ln"]


def events(*data: dict[str, Any]) -> tuple[bytes, ...]:
    return (
        SSE_HEAD,
        *(chunked(f"event: {each.get('type')}\ndata: {json.dumps(each)}\n\n".encode()) for each in data),
        SSE_END,
    )


async def streamed_call(house: House) -> dict[str, Any]:
    """Return the call of a streamed answer, as a client keeps it that knows OpenAI's fields alone."""
    _, body = await house.answer(messages=[QUESTION], tools=TOOLS, stream=True)
    chunks = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    deltas = [call for each in chunks for call in each["choices"][0]["delta"].get("tool_calls") or ()]
    function = {"name": deltas[0]["function"]["name"], "arguments": "{}"}
    return {"id": deltas[0]["id"], "type": "function", "function": function}


async def test_anthropic_gets_its_signature_back_after_a_stream(house: House, upstream: Upstream) -> None:
    await reasoning(house, "anthropic", "anthropic")
    usage = {"input_tokens": 5, "output_tokens": 7}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    tool = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    upstream.script = upstream.says(
        *events(
            {"type": "message_start", "message": message | {"usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": thinking},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "thinking_delta", "thinking": THOUGHT},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "signature_delta", "signature": "sig"},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": tool},
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage},
            {"type": "message_stop"},
        )
    )
    call = await streamed_call(house)

    await house.answer(messages=history(call=call), tools=TOOLS, reasoning_effort="low", max_tokens=8000)

    thought = {"type": "thinking", "thinking": THOUGHT, "signature": "sig"}
    assert upstream.bodies[-1]["messages"][1]["content"] == [thought, tool]


async def test_gemini_gets_the_signature_of_a_call_back_after_a_stream(
    house: House, upstream: Upstream
) -> None:
    await reasoning(house, "google", "gemini")
    part = {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2ln"}
    content = {"role": "model", "parts": [part]}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
    upstream.script = upstream.says(
        *events(
            {"candidates": [{"content": content, "index": 0}], "usageMetadata": usage},
            {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": usage},
        )
    )
    call = await streamed_call(house)

    await house.answer(messages=history(call=call), tools=TOOLS)

    turns = upstream.bodies[-1]["contents"]
    assert [each["thoughtSignature"] for each in turns[1]["parts"] if "functionCall" in each] == ["c2ln"]


async def test_what_is_kept_is_sealed_and_does_not_stay(house: House, upstream: Upstream) -> None:
    await reasoning(house, "deepseek")
    upstream.script = upstream.says(thought_as_a_whole())

    await house.answer(messages=[QUESTION], tools=TOOLS)

    (key,) = house.valkey.scan_iter(match="fa:*:thoughts:*")
    kept: Any = house.valkey.get(key)
    assert f"{{{ORGANIZATION}}}".encode() in key
    assert b"call_1" not in key
    assert b"look" not in kept
    assert 0 < int(str(house.valkey.ttl(key))) <= 3600


async def test_an_answer_without_tools_or_thoughts_leaves_nothing(house: House, upstream: Upstream) -> None:
    await reasoning(house, "deepseek")
    message = {"role": "assistant", "content": "a cat", "reasoning_content": THOUGHT}

    await house.answer(messages=[QUESTION], tools=TOOLS)
    upstream.script = upstream.says(
        whole(completion(choices=[{"index": 0, "message": message, "finish_reason": "stop"}]))
    )
    await house.answer(messages=[QUESTION], tools=TOOLS)

    assert list(house.valkey.scan_iter(match="fa:*:thoughts:*")) == []


def conversation(call: ToolCall) -> Form:
    return Form([Message("user", [Text("hi")]), Message("assistant", [call])])


async def test_another_organization_or_ring_does_not_find_it(house: House) -> None:
    call = ToolCall("call_1", "look", "{}")
    kept: Keepsake = [Thinking(THOUGHT), ToolCall("call_1", "look", "")]
    memory, form = Memory(house.pipeline, ring=settings.ARCHIVE_KEYS), conversation(call)
    stranger = Memory(house.pipeline, ring="k2:" + "0f" * 32)
    memory.keep("org_a", form, kept)

    mine = await memory.recall("org_a", form, "text")

    assert mine.messages[1].parts == [Thinking(THOUGHT), call]
    assert form.messages[1].parts == [call]
    assert await memory.recall("org_b", form, "text") is form
    assert await stranger.recall("org_a", form, "text") is form


async def test_a_value_that_was_moved_or_damaged_is_not_believed(house: House) -> None:
    memory = Memory(house.pipeline, ring=settings.ARCHIVE_KEYS)
    call = ToolCall("call_1", "look", "{}")
    form, other = conversation(call), conversation(ToolCall("call_2", "look", "{}"))
    memory.keep("org_a", form, [Thinking("a"), call])
    memory.keep("org_a", other, [Thinking("b"), ToolCall("call_2", "look", "")])
    await memory.recall("org_a", form, "text")
    first, second = sorted(house.valkey.scan_iter(match="fa:*:thoughts:*"))
    moved: Any = house.valkey.get(first)

    house.valkey.set(second, moved)
    house.valkey.set(first, b"nonsense")

    assert await memory.recall("org_a", form, "text") is form
    assert await memory.recall("org_a", other, "text") is other


async def test_thoughts_beyond_the_cap_are_not_kept(house: House) -> None:
    memory = Memory(house.pipeline, ring=settings.ARCHIVE_KEYS)
    call = ToolCall("call_1", "look", "{}")
    form = conversation(call)

    memory.keep("org_a", form, [Thinking("x" * MAX_BYTES), call])

    assert await memory.recall("org_a", form, "text") is form


def test_only_turns_that_lack_what_is_needed_are_looked_up_and_not_without_end() -> None:
    bare, told = ToolCall("a", "look", "{}"), Thinking("seen")
    form = Form([Message("user", [Text("hi")]), Message("assistant", [told, bare])])
    long = Form([Message("assistant", [ToolCall(f"call_{n}", "look", "{}")]) for n in range(200)])

    assert lacking(form, "text") == {}
    assert len(lacking(form, "seal")) == 1
    assert len(lacking(long, "text")) == MAX_TURNS


async def test_nobody_fills_the_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.memory.SHARE_BYTES", 2_500)
    monkeypatch.setattr("gateway.memory.MOST_BYTES", 4_000)
    memory = Memory(house.pipeline, ring=settings.ARCHIVE_KEYS)

    async def kept(organization: str) -> int:
        count = 0
        for number in range(5):
            call = ToolCall(f"call_{number}", "look", "{}")
            form = conversation(call)
            memory.keep(organization, form, [Thinking("x" * 1_000), call])
            count += await memory.recall(organization, form, "text") is not form
        return count

    # The second finds what the first has left of the whole.
    assert [await kept("org_a"), await kept("org_b"), await kept("org_a")] == [2, 1, 2]


async def test_the_share_of_an_hour_is_new_in_the_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.memory.SHARE_BYTES", 1_500)
    memory = Memory(house.pipeline, ring=settings.ARCHIVE_KEYS, ttl_s=1)
    call = ToolCall("call_1", "look", "{}")
    form = conversation(call)
    for _ in range(2):
        memory.keep("org_a", form, [Thinking("x" * 1_000), call])
        assert await memory.recall("org_a", form, "text") is not form
        await asyncio.sleep(1.1)
