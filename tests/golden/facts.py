"""What an answer says, read from each format by itself, without any of the code under test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Counted:
    """Usage: total input, what of it was cached or is now, total output, what of it was thought."""

    input: int
    cached: int
    output: int
    written: int = 0
    thought: int = 0


@dataclass(slots=True)
class Facts:
    """What any client must learn from an answer."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    reason: str = ""
    usage: Counted | None = None
    has_error: bool = False


def events(stream: str) -> Iterator[Any]:
    """Return the JSON of each event; the end mark of chat is left out."""
    for block in stream.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].lstrip(" ") for line in block.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            yield json.loads(data)


def arguments(text: str) -> Any:
    """Return what a call's arguments mean: no text means none, and text that is cut off only itself."""
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text


def words(text: str) -> str:
    """Return a text without blanks: paragraphs of thoughts are parted differently in each format."""
    return "".join(text.split())


# Chat completions.


def chat_usage(usage: Any) -> Counted | None:
    """Read ``usage`` of a chat completion of any dialect."""
    if not usage:
        return None
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
    written = details.get("cache_write_tokens") or details.get("cache_creation_input_tokens") or 0
    output = max(usage["completion_tokens"], usage.get("total_tokens", 0) - usage["prompt_tokens"])
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return Counted(usage["prompt_tokens"], cached, output, written, thought)


def _chat_text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _chat_thoughts(message: Any) -> str:
    told = message.get("reasoning_content") or message.get("reasoning")
    if not told and isinstance(message.get("content"), list):
        parts = [part["thinking"] for part in message["content"] if part.get("type") == "thinking"]
        told = "".join(thought["text"] for part in parts for thought in part)
    details = [
        each.get("text") or each.get("summary") or "" for each in message.get("reasoning_details") or ()
    ]
    return words(told or "".join(details))


def chat_answer(body: Any) -> Facts:
    """Read a chat completion."""
    message, choice = body["choices"][0]["message"], body["choices"][0]
    calls = [
        (call["function"]["name"], arguments(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    reason = "tool_calls" if calls and choice["finish_reason"] == "stop" else choice["finish_reason"]
    said = _chat_text(message.get("content"))
    return Facts(said, _chat_thoughts(message), calls, reason, chat_usage(body.get("usage")))


def chat_stream(stream: str) -> Facts:
    """Read a stream of chat completion chunks."""
    facts = Facts()
    calls: dict[int, list[str]] = {}
    for chunk in events(stream):
        facts.has_error = facts.has_error or bool(chunk.get("error"))
        facts.usage = (
            chat_usage(chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")) or facts.usage
        )
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            facts.text += _chat_text(delta.get("content"))
            facts.thoughts += _chat_thoughts(delta)
            facts.reason = choice.get("finish_reason") or facts.reason
            for place, call in enumerate(delta.get("tool_calls") or ()):
                name_and_arguments = calls.setdefault(call.get("index", place), ["", ""])
                name_and_arguments[0] += (call.get("function") or {}).get("name") or ""
                name_and_arguments[1] += (call.get("function") or {}).get("arguments") or ""
    facts.calls = [(name, arguments(text)) for _, (name, text) in sorted(calls.items())]
    if facts.calls and facts.reason == "stop":
        facts.reason = "tool_calls"
    return facts


# Messages.

_STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def messages_usage(usage: Any) -> Counted:
    """Read ``usage`` of a message: input excludes what the cache gave or took."""
    cached, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return Counted(usage["input_tokens"] + cached + written, cached, usage["output_tokens"], written, thought)


def messages_answer(body: Any) -> Facts:
    """Read a message."""
    blocks = body["content"]
    return Facts(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        words("".join(block["thinking"] for block in blocks if block["type"] == "thinking")),
        [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        _STOPS.get(body["stop_reason"] or "", ""),
        messages_usage(body["usage"]),
    )


def messages_stream(stream: str) -> Facts:
    """Read a stream of message events."""
    facts = Facts()
    usage: dict[str, Any] = {}
    calls: dict[int, list[str]] = {}
    for event in events(stream):
        match event["type"]:
            case "message_start":
                usage |= event["message"]["usage"]
            case "content_block_start" | "content_block_delta":
                facts.text += _block_text(event, calls)
                facts.thoughts += words(event.get("delta", {}).get("thinking", ""))
            case "message_delta":
                facts.reason = _STOPS[event["delta"]["stop_reason"]]
                usage |= {name: count for name, count in event["usage"].items() if count is not None}
            case kind:
                facts.has_error = facts.has_error or kind == "error"
    facts.calls = [(name, arguments(text)) for _, (name, text) in sorted(calls.items())]
    facts.usage = messages_usage(usage) if usage else None
    return facts


def _block_text(event: Any, calls: dict[int, list[str]]) -> str:
    started = event.get("content_block", {})
    if started.get("type") == "tool_use":
        calls[event["index"]] = [started["name"], ""]
    delta = event.get("delta", {})
    if event["index"] in calls:
        calls[event["index"]][1] += delta.get("partial_json", "")
    text: str = started.get("text", "") + delta.get("text", "")
    return text


# Responses.


def responses_usage(usage: Any) -> Counted | None:
    """Read ``usage`` of a response."""
    if not usage:
        return None
    given, made = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return Counted(
        usage["input_tokens"],
        given.get("cached_tokens") or 0,
        usage["output_tokens"],
        given.get("cache_write_tokens") or 0,
        made.get("reasoning_tokens") or 0,
    )


def responses_answer(body: Any) -> Facts:
    """Read a response."""
    output = body["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [
        (item["name"], arguments(item["arguments"])) for item in output if item["type"] == "function_call"
    ]
    reason = {"completed": "tool_calls" if calls else "stop"}.get(body["status"], "")
    if body["status"] == "incomplete":
        why = body["incomplete_details"]["reason"]
        reason = {"max_output_tokens": "length", "content_filter": "content_filter"}[why]
    text = "".join(part["text"] for part in parts if part["type"] == "output_text")
    thoughts = [
        part["text"]
        for item in output
        if item["type"] == "reasoning"
        for part in item.get("summary") or item.get("content") or ()
    ]
    usage = responses_usage(body.get("usage"))
    return Facts(text, words("".join(thoughts)), calls, reason, usage, body["status"] == "failed")


def responses_stream(stream: str) -> Facts:
    """Read a stream of response events: deltas and the snapshot at the end must agree."""
    text, thoughts, last = "", "", None
    has_error = False
    for event in events(stream):
        if event["type"] == "response.output_text.delta":
            text += event["delta"]
        elif event["type"] in {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}:
            thoughts += words(event["delta"])
        elif event["type"] in {"response.completed", "response.incomplete", "response.failed"}:
            last = event["response"]
        has_error = has_error or event["type"] == "error"
    if last is None:
        return Facts(text, thoughts, has_error=has_error)
    facts = responses_answer(last)
    # A response that failed need not repeat what came before.
    assert (facts.text, facts.thoughts) == (text, thoughts) or last["status"] == "failed"
    facts.text, facts.thoughts = text, thoughts
    facts.has_error = facts.has_error or has_error
    return facts


# Gemini.

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}


def gemini_usage(usage: Any) -> Counted | None:
    """Read ``usageMetadata``: thoughts are output, unless the total says that they were counted already."""
    if not usage or "promptTokenCount" not in usage:
        return None
    given = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    made = usage.get("candidatesTokenCount", 0)
    if given + made != usage.get("totalTokenCount"):
        made += usage.get("thoughtsTokenCount", 0)
    thought = usage.get("thoughtsTokenCount", 0)
    return Counted(given, usage.get("cachedContentTokenCount", 0), made, 0, thought)


def gemini_answer(body: Any) -> Facts:
    """Read a generateContent response."""
    return _gemini([body])


def gemini_stream(stream: str) -> Facts:
    """Read a streamGenerateContent stream."""
    return _gemini(list(events(stream)))


def _gemini(chunks: list[Any]) -> Facts:
    facts = Facts()
    for chunk in chunks:
        facts.usage = gemini_usage(chunk.get("usageMetadata")) or facts.usage
        if (chunk.get("promptFeedback") or {}).get("blockReason"):
            facts.reason = "content_filter"
        for candidate in chunk.get("candidates") or ():
            parts = (candidate.get("content") or {}).get("parts") or ()
            facts.text += "".join(part.get("text", "") for part in parts if not part.get("thought"))
            facts.thoughts += words("".join(part.get("text", "") for part in parts if part.get("thought")))
            called = [part["functionCall"] for part in parts if "functionCall" in part]
            facts.calls += [(call["name"], call.get("args") or {}) for call in called]
            if finish := candidate.get("finishReason"):
                facts.reason = _FINISH.get(finish, "content_filter")
    if facts.calls and facts.reason == "stop":
        facts.reason = "tool_calls"
    return facts


ANSWER: dict[str, Callable[[Any], Facts]] = {
    "chat": chat_answer,
    "gemini": gemini_answer,
    "messages": messages_answer,
    "responses": responses_answer,
}
STREAM: dict[str, Callable[[str], Facts]] = {
    "chat": chat_stream,
    "gemini": gemini_stream,
    "messages": messages_stream,
    "responses": responses_stream,
}
