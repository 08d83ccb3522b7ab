"""Gemini's own protocol: bodies, stream events, errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox.answers import Choice, Delta, ToolCall
from fastanchor.local.sandbox.conversation import BadRequest, Conversation
from fastanchor.local.sandbox.dialect import Asked, Event, Http, Said, Usual, Voice, refusal
from fastanchor.local.sandbox.gemini_request import GeminiRequest, gemini_conversation, read_gemini
from fastanchor.local.sandbox.gemini_rules import SIGNED_TEXT
from fastanchor.local.sandbox.seals import seal

PATH = re.compile(
    r"/(?:gemini/v1(?:beta|alpha)?|vertex/v1/projects/[^/]+/locations/[^/]+/publishers/google)"
    r"/models/([^:]+):(\w+)"
)
_SEARCH_TOKENS = 7
_FINISH = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    # The protocol has no name of its own for the end by a function call.
    "tool_calls": "STOP",
    "refusal": "SAFETY",
    "filter": "SAFETY",
}
_STATUS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "The model is not found for API version v1beta, or is not supported."),
    429: (
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_PAGE = {"uri": "https://example.com/page", "title": "example.com"}


@dataclass(frozen=True, slots=True)
class AskedGemini:
    """A request that was read."""

    request: GeminiRequest
    talk: Conversation

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return GeminiVoice(self.request, said)


class Gemini(Usual):
    """The dialect ``gemini``."""

    name = "gemini"

    def read(self, http: Http) -> Asked:
        """Read a request; the model and whether to stream stand in its path."""
        model, method = _target(http)
        request = read_gemini(http.body, model)
        return AskedGemini(
            request, gemini_conversation(request, model, is_stream=method == "streamGenerateContent")
        )

    def count(self, http: Http) -> dict[str, Any]:
        """Return what a request would cost; raises ``BadRequest``."""
        model, _ = _target(http)
        talk = gemini_conversation(read_gemini(http.body, model), model, is_stream=False)
        return {"totalTokens": talk.tokens()}

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal."""
        status, text = _STATUS.get(refusal.status, _STATUS[500 if refusal.status >= 500 else 400])
        details: dict[str, Any] = {}
        if refusal.kind == "API_KEY_INVALID":
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": refusal.kind}
            details = {"details": [{**info, "domain": "googleapis.com"}]}
        elif refusal.kind:
            status = refusal.kind
        return {
            "error": {"code": refusal.status, "message": str(refusal) or text, "status": status, **details}
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that Google sends."""
        return {"server-timing": "gfet4t7; dur=12", "vary": "Origin, X-Origin, Referer"}

    def blocked(self) -> BadRequest | None:
        """Refuse nothing: a stopped prompt is an answer without candidates."""
        return None

    def cached(self, _asked: Asked) -> None:
        """Gemini caches by itself."""


class GeminiVoice:
    """Writes one answer."""

    def __init__(self, request: GeminiRequest, said: Said) -> None:
        self._request = request
        self._said = said
        self._id = random_base62(22)
        self._thought = 0
        self._spoken = 0
        self._received: dict[tuple[int, int], int] = {}

    @property
    def answer_id(self) -> str:
        """Return the id of the answer."""
        return self._id

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""
        count = self._said.count
        self._thought, self._spoken = count.reasoning, count.output - count.reasoning
        if self._said.order.blocked:
            return self._body({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
        candidates = [
            self._candidate(index, self._parts(index, choice), choice)
            for index, choice in enumerate(self._said.answer.choices)
        ]
        return self._body({"candidates": candidates})

    def opening(self) -> list[Event]:
        """Begin with the answer itself."""
        return []

    def say(self, delta: Delta) -> list[Event]:
        """Write one piece; a function call is sent once it is complete."""
        if delta.kind == "thought":
            self._thought += delta.tokens
            return [self._chunk(delta.choice, [{"text": delta.text, "thought": True}])]
        self._thought = self._said.count.reasoning
        self._spoken += delta.tokens
        if delta.call is None:
            return [self._chunk(delta.choice, [{"text": delta.text}])]
        place = (delta.choice, delta.key)
        self._received[place] = self._received.get(place, 0) + delta.tokens
        is_complete = self._received[place] == len(delta.call.pieces)
        part = self._call_part(delta.call, is_first=delta.key == 0) if is_complete else None
        return [self._chunk(delta.choice, [part])] if part else []

    def closing(self) -> list[Event]:
        """Say why it ended, and what all of it costs."""
        body = self.whole()
        if self._said.order.blocked:
            return [Event(body)]
        if self._said.order.no_finish:
            return []
        for index, choice in enumerate(self._said.answer.choices):
            last = {"text": "", **self._text_seal(choice)}
            body["candidates"][index] = self._candidate(index, [last], choice)
        return [Event(body)]

    def failure(self) -> list[Event]:
        """Return an error in the stream."""
        failed = refusal(503)
        failed.kind = self._said.order.error_event
        return [Event(Gemini().error(failed))]

    def comment(self) -> str:
        """Return a sign of life."""
        return "keep-alive"

    def _parts(self, index: int, choice: Choice) -> list[dict[str, Any]]:
        answer = self._said.answer
        parts: list[dict[str, Any]] = []
        if answer.thoughts and answer.shows_thoughts and index == 0:
            parts.append({"text": answer.thought, "thought": True})
        if choice.pieces:
            parts.append({"text": choice.text, **self._text_seal(choice)})
        calls = [self._call_part(call, is_first=key == 0) for key, call in enumerate(choice.calls)]
        return [*parts, *(call for call in calls if call)]

    def _text_seal(self, choice: Choice) -> dict[str, str]:
        has_seal = bool(self._said.answer.thoughts) and not choice.calls
        return {"thoughtSignature": seal("gemini", SIGNED_TEXT)} if has_seal else {}

    def _call_part(self, call: ToolCall, *, is_first: bool) -> dict[str, Any] | None:
        """Return a function call; ``None`` if its arguments were cut off."""
        try:
            arguments = msgspec.json.decode(call.arguments)
        except msgspec.DecodeError:
            return None
        part: dict[str, Any] = {"functionCall": {"name": call.tool.name, "args": arguments}}
        if is_first and self._said.answer.thoughts:
            part["thoughtSignature"] = seal("gemini", call.tool.name)
        return part

    def _candidate(self, index: int, parts: list[dict[str, Any]], choice: Choice) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
        if not self._said.order.no_finish:
            candidate["finishReason"] = self._said.order.finish or _FINISH[choice.finish]
        candidate["index"] = index
        if choice.calls:
            candidate["finishMessage"] = "Model generated function call(s)."
        if self._said.answer.search:
            candidate["groundingMetadata"] = _grounding(self._said.answer.search, choice)
        if self._request.config.get("responseLogprobs") or self._said.order.logprobs:
            candidate |= _logprobs(choice, self._request.config.get("logprobs") or 0)
        return candidate

    def _chunk(self, index: int, parts: list[dict[str, Any]]) -> Event:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": index}
        return Event(self._body({"candidates": [candidate]}))

    def _body(self, head: dict[str, Any]) -> dict[str, Any]:
        usage = {} if self._said.order.no_usage else {"usageMetadata": self._usage()}
        return {**head, **usage, "modelVersion": self._said.model, "responseId": self._id}

    def _usage(self) -> dict[str, Any]:
        count = self._said.count
        searched = min(_SEARCH_TOKENS, count.input) if count.searches else 0
        prompt = count.input - searched
        usage: dict[str, Any] = {
            "promptTokenCount": prompt,
            "totalTokenCount": count.input + self._spoken + self._thought,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        }
        counted = {
            "candidatesTokenCount": self._spoken,
            "thoughtsTokenCount": self._thought,
            "cachedContentTokenCount": count.cached,
            "toolUsePromptTokenCount": searched,
        }
        # Google leaves out what is zero.
        return usage | {name: tokens for name, tokens in counted.items() if tokens}


def _target(http: Http) -> tuple[str, str]:
    if not http.credential():
        message = (
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
            "other form of API consumer identity to call this API."
        )
        raise BadRequest(message, status=403)
    found = PATH.fullmatch(http.path)
    if found is None:
        raise refusal(404)
    return found.group(1), found.group(2)


def _grounding(query: str, choice: Choice) -> dict[str, Any]:
    segment = {"endIndex": len(choice.text.encode()), "text": choice.text}
    return {
        "searchEntryPoint": {"renderedContent": "<div></div>"},
        "groundingChunks": [{"web": _PAGE}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
        "webSearchQueries": [query],
    }


def _logprobs(choice: Choice, top: int) -> dict[str, Any]:
    chosen = [{"token": piece, "tokenId": 1, "logProbability": -0.25} for piece in choice.pieces]
    result: dict[str, Any] = {"chosenCandidates": chosen}
    if top:
        result["topCandidates"] = [{"candidates": [one] * top} for one in chosen]
    return {"avgLogprobs": -0.25, "logprobsResult": result}
