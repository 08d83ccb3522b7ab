"""OpenAI's chat format: bodies, stream events, errors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox import openai_errors
from fastanchor.local.sandbox.answers import Choice, Delta, ToolCall
from fastanchor.local.sandbox.chat_request import ChatRequest, chat_conversation, read_chat
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, Count
from fastanchor.local.sandbox.dialect import DONE, Asked, Event, Http, Said, Usual, Voice, refusal

_PADDING = 16
_FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "stop",
    "filter": "content_filter",
}
SOURCE = {"url": "https://example.com/page", "title": "Example page"}


@dataclass(frozen=True, slots=True)
class AskedChat:
    """A chat request that was read."""

    request: ChatRequest
    talk: Conversation

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return ChatVoice(self.request, said)


class Chat(Usual):
    """The dialect ``chat`` of OpenAI."""

    name = "chat"

    def read(self, http: Http) -> Asked:
        """Read a request."""
        request = read_chat(http.body)
        return AskedChat(request, chat_conversation(request))

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal."""
        return openai_errors.body(refusal)

    def headers(self) -> dict[str, str]:
        """Return the headers that OpenAI sends, its account's limits included."""
        return openai_errors.headers()

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops."""
        message = "Your request was rejected as a result of our safety system."
        return BadRequest(message, kind="content_policy_violation")

    def cached(self, _asked: Asked) -> None:
        """OpenAI caches by itself."""


class ChatVoice:
    """Writes one chat answer."""

    def __init__(self, request: ChatRequest, said: Said) -> None:
        self._request = request
        self._said = said
        self._head = {
            "id": f"chatcmpl-{random_base62(29)}",
            "created": int(time.time()),
            "model": said.model,
            **self.marks(),
        }

    def marks(self) -> dict[str, Any]:
        """Return what stands in every answer beside the usual."""
        return {"service_tier": "default", "system_fingerprint": "fp_sandbox"}

    @property
    def answer_id(self) -> str:
        """Return the id that every event carries."""
        return str(self._head["id"])

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""
        choices = [self._whole(index, choice) for index, choice in enumerate(self._said.answer.choices)]
        body = {"object": "chat.completion", **self._head, "choices": choices}
        return body if self._said.order.no_usage else {**body, "usage": self.usage(self._said.count)}

    def opening(self) -> list[Event]:
        """Begin each choice."""
        count = len(self._said.answer.choices)
        return [self._chunk(index, self.first_delta()) for index in range(count)]

    def first_delta(self) -> dict[str, Any]:
        """Return the delta that begins a choice."""
        return {"role": "assistant", "content": "", "refusal": None}

    def say(self, delta: Delta) -> list[Event]:
        """Write one piece."""
        logprobs = _logprobs([delta.text], self._request) if self._shows_logprobs(delta) else None
        return [self._chunk(delta.choice, self._delta(delta), logprobs=logprobs)]

    def closing(self) -> list[Event]:
        """End each choice, report the usage, say that all is done."""
        order, events = self._said.order, list[Event]()
        if not order.no_finish:
            for index, choice in enumerate(self._said.answer.choices):
                if self._said.answer.search:
                    events.append(self._chunk(index, {"annotations": cited(choice)}))
                events.append(self._chunk(index, {}, self._finish(choice)))
        if self._request.wants_usage and not order.no_usage:
            events.append(self._event({"choices": [], "usage": self.usage(self._said.count)}))
        return events if order.no_done else [*events, Event(DONE)]

    def failure(self) -> list[Event]:
        """Return an error in the stream."""
        failed = refusal(500)
        failed.kind = self._said.order.error_event
        return [Event(openai_errors.body(failed))]

    def comment(self) -> str:
        """Return a sign of life."""
        return "keep-alive"

    def usage(self, count: Count) -> dict[str, Any]:
        """Return the usage object."""
        written = {"cache_write_tokens": count.written} if count.written else {}
        return {
            "prompt_tokens": count.input,
            "completion_tokens": count.output,
            "total_tokens": count.input + count.output,
            "prompt_tokens_details": {"cached_tokens": count.cached, "audio_tokens": 0, **written},
            "completion_tokens_details": {
                "reasoning_tokens": count.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _delta(self, delta: Delta) -> dict[str, Any]:
        match delta.kind:
            case "thought":
                return {"reasoning_content": delta.text}
            case "refusal":
                return {"refusal": delta.text}
            case "text":
                return {"content": delta.text}
            case "call" if delta.call is not None:
                kind = delta.call.tool.kind
                opening = {"id": f"call_{delta.call.id}", "type": kind, kind: _called(delta.call, "")}
                return self._tool_delta(delta, opening)
            case _:
                return self._tool_delta(delta, self._piece(delta))

    def _piece(self, delta: Delta) -> dict[str, Any]:
        kind = delta.call.tool.kind if delta.call else "function"
        return {kind: {"input" if kind == "custom" else "arguments": delta.text}}

    def _tool_delta(self, delta: Delta, call: dict[str, Any]) -> dict[str, Any]:
        number = {} if self._said.order.no_index else {"index": delta.key}
        return {"tool_calls": [{**number, **call}]}

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None
    ) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        unfinished = {"usage": None} if self._request.wants_usage else {}
        padding = {"obfuscation": random_base62(_PADDING)} if self.pads() else {}
        return self._event({"choices": [choice], **unfinished, **padding})

    def pads(self) -> bool:
        """Say whether chunks carry padding."""
        return self._request.wants_obfuscation

    def _event(self, rest: dict[str, Any]) -> Event:
        return Event({"object": "chat.completion.chunk", **self._head, **rest})

    def finish_words(self) -> dict[str, str]:
        """Return what each end is called."""
        return _FINISH

    def _finish(self, choice: Choice) -> str:
        return self._said.order.finish or self.finish_words()[choice.finish]

    def _shows_logprobs(self, delta: Delta) -> bool:
        return delta.kind == "text" and bool(self._request.logprobs or self._said.order.logprobs)

    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        shown = Delta("refusal" if choice.finish == "refusal" else "text")
        logprobs = _logprobs(choice.pieces, self._request) if self._shows_logprobs(shown) else None
        return {
            "index": index,
            "message": self.message(choice),
            "logprobs": logprobs,
            "finish_reason": self._finish(choice),
        }

    def message(self, choice: Choice) -> dict[str, Any]:
        """Return the message of an answer in one piece."""
        is_refused = choice.finish == "refusal"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if is_refused or (choice.calls and not choice.pieces) else choice.text,
            "refusal": choice.text if is_refused else None,
            "annotations": cited(choice) if self._said.answer.search else [],
        }
        return message | (
            {"tool_calls": [_whole_call(call) for call in choice.calls]} if choice.calls else {}
        )


def cited(choice: Choice) -> list[dict[str, Any]]:
    """Return the sources of a text that was searched for."""
    citation = {**SOURCE, "start_index": 0, "end_index": len(choice.text)}
    return [{"type": "url_citation", "url_citation": citation}]


def token_logprobs(pieces: tuple[str, ...] | list[str], top: int) -> list[dict[str, Any]]:
    """Return the log probability of each piece, and of as many others as are asked for."""
    return [{**_logprob(piece, -0.25), "top_logprobs": _top(piece, top)} for piece in pieces]


def _top(piece: str, top: int) -> list[dict[str, Any]]:
    return [_logprob(piece if rank == 0 else f"{piece}{rank}", -0.25 - rank) for rank in range(top)]


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


def _logprobs(pieces: tuple[str, ...] | list[str], request: ChatRequest) -> dict[str, Any]:
    return {"content": token_logprobs(pieces, request.top_logprobs or 0), "refusal": None}


def _called(call: ToolCall, arguments: str) -> dict[str, str]:
    return {"name": call.tool.name, "input" if call.tool.kind == "custom" else "arguments": arguments}


def _whole_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": f"call_{call.id}",
        "type": call.tool.kind,
        call.tool.kind: _called(call, call.arguments),
    }
