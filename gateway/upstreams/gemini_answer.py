"""Answers of the Gemini protocol, whole and streamed: one shape for both.

Shapes: Google's reference of ``GenerateContentResponse``. A stream has no closing mark; it ends with a finish reason.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec

from gateway.assembly import Assembly
from gateway.events import (
    Began,
    Event,
    Finished,
    FinishReason,
    Reported,
    Result,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Form
from gateway.upstreams.base import NONSENSE, BadAnswer
from gateway.upstreams.gemini_grounding import Grounding, Sources
from gateway.upstreams.gemini_logprobs import Logprobs, in_chat_shape
from gateway.upstreams.gemini_seals import ORIGIN, Service, marked
from gateway.upstreams.gemini_usage import UsageMetadata, usage_of
from gateway.upstreams.wire_names import CalledNames


class _Call(msgspec.Struct):
    name: str = ""
    args: dict[str, Any] | None = None
    id: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    grounding_metadata: Grounding | None = None
    logprobs_result: Logprobs | None = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    response_id: str | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_ENCODER = msgspec.json.Encoder()
_REASONS: dict[str, FinishReason] = {
    "STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length", "SAFETY": "content_filter",
    "RECITATION": "content_filter", "LANGUAGE": "content_filter", "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter", "SPII": "content_filter", "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter", "IMAGE_SAFETY": "content_filter", "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter", "IMAGE_OTHER": "content_filter", "NO_IMAGE": "content_filter",
}  # fmt: skip
# By Google's reference every other reason says that generation went wrong: MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL,
# TOO_MANY_TOOL_CALLS, MALFORMED_RESPONSE, MISSING_THOUGHT_SIGNATURE, OTHER. What came before it is no whole answer, though
# it may look like one: agents took the words before a broken call for the end of the task. So it is a failed attempt
# before any content, and an error after it.
_NO_REASON = "FINISH_REASON_UNSPECIFIED"


class _Choice:
    """What was seen of one candidate."""

    __slots__ = ("calls", "is_finished", "sources")

    def __init__(self) -> None:
        self.calls = 0
        self.is_finished = False
        self.sources = Sources()


class GeminiReader:
    """Reads one stream; a whole answer is a stream of one event."""

    def __init__(self, form: Form, service: Service) -> None:
        self._names = CalledNames(form.tools)
        self._service: Service = service
        self._choices = [_Choice() for _ in range(form.choices)]
        self._id = ""

    def feed(self, event: bytes) -> list[Event]:
        """See ``Reader.feed``."""
        try:
            chunk = _CHUNK.decode(event)
        except NONSENSE as exc:
            raise BadAnswer("not an answer of Gemini") from exc
        if chunk.error is not None:
            raise BadAnswer("an error inside the answer")
        events: list[Event] = []
        if not self._id:
            self._id = chunk.response_id or secrets.token_hex(12)
            events.append(Began(chunk.response_id or ""))
        for place, candidate in enumerate(chunk.candidates or ()):
            self._candidate(candidate, place, events)
        if not chunk.candidates and chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            self._block(events)
        self._report(chunk.usage_metadata, events)
        return events

    def _block(self, events: list[Event]) -> None:
        for index, choice in enumerate(self._choices):
            if not choice.is_finished:
                choice.is_finished = True
                events.append(Finished("content_filter", index))

    def _candidate(self, candidate: _Candidate, place: int, events: list[Event]) -> None:
        index = place if candidate.index is None else candidate.index
        if not 0 <= index < len(self._choices):
            raise BadAnswer("a candidate that nobody asked for")
        choice = self._choices[index]
        logprobs = in_chat_shape(candidate.logprobs_result)
        for part in (candidate.content and candidate.content.parts) or ():
            seal = marked(part.thought_signature or "", self._service)
            if part.function_call is not None:
                events += self._call(part.function_call, seal, choice, index)
            elif part.thought:
                events += _thought(part.text or "", seal, index)
            elif part.text or seal:
                choice.sources.say(part.text or "")
                events.append(TextDelta(part.text or "", index, logprobs, seal))
                logprobs = None
        if candidate.grounding_metadata is not None:
            choice.sources.take(candidate.grounding_metadata)
        if candidate.finish_reason and candidate.finish_reason != _NO_REASON and not choice.is_finished:
            self._finish(candidate.finish_reason, choice, index, events)

    def _call(self, call: _Call, seal: str, choice: _Choice, index: int) -> list[Event]:
        key, choice.calls = choice.calls, choice.calls + 1
        name, namespace = self._names.of(call.name)
        began = ToolBegan(
            key, call.id or self._made_id(index, key), name, seal=seal, choice=index, namespace=namespace
        )
        return [began, ToolDelta(key, _ENCODER.encode(call.args or {}).decode(), index)]

    def _made_id(self, index: int, key: int) -> str:
        # Older models give their calls no ids; the same answer always gets the same ones.
        return "call_" + hashlib.blake2s(f"{self._id}/{index}/{key}".encode(), digest_size=12).hexdigest()

    def _finish(self, reason: str, choice: _Choice, index: int, events: list[Event]) -> None:
        choice.is_finished = True
        finish = _REASONS.get(reason)
        if finish is None:
            raise BadAnswer(f"finished with {reason[:40]}")
        events += choice.sources.events(self._id, index)
        events.append(Finished("tool_calls" if finish == "stop" and choice.calls else finish, index))

    def _report(self, metadata: UsageMetadata | None, events: list[Event]) -> None:
        searches = sum(choice.sources.searches for choice in self._choices)
        usage = None if metadata is None else usage_of(metadata, searches)
        # Some models count the output only at the end: until then a broken stream is better estimated from its text.
        if usage is not None and (usage.output_tokens or all(choice.is_finished for choice in self._choices)):
            events.append(Reported(usage))


def _thought(text: str, seal: str, index: int) -> list[Event]:
    events: list[Event] = []
    if text:
        events.append(ThinkingDelta(text, index))
    if seal:
        events.append(ThinkingSealed(seal, ORIGIN, choice=index))
    return events


def whole_answer(body: bytes, form: Form, service: Service) -> Result:
    """Read an answer that came at once; raises ``BadAnswer``."""
    assembly = Assembly()
    assembly.take(GeminiReader(form, service).feed(body))
    if not assembly.is_finished:
        raise BadAnswer("no finished candidate")
    return assembly.result()
