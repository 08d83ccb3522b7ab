"""Anthropic's Messages: bodies, stream events, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox.answers import Choice, Delta, ToolCall
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, PrefixCache
from fastanchor.local.sandbox.dialect import Asked, Event, Http, Said, Usual, Voice, refusal
from fastanchor.local.sandbox.messages_cache import cached_tokens
from fastanchor.local.sandbox.messages_request import MessagesRequest, messages_conversation, read_messages
from fastanchor.local.sandbox.seals import enclose, seal

_CONTEXT_TOKENS = 1_000_000
_MOST_BYTES = 32 * 1024 * 1024
_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "filter": "refusal",
}
_ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The sandbox was told to refuse this request."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is an issue with your billing or payment information."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    408: ("timeout_error", "The request timed out."),
    409: ("conflict_error", "The request conflicts with another one."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}
_PAGE = {"url": "https://example.com/page", "title": "Example page"}


@dataclass(frozen=True, slots=True)
class AskedMessages:
    """A request that was read."""

    request: MessagesRequest
    talk: Conversation

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return MessagesVoice(said)


class Messages(Usual):
    """The dialect ``messages`` of Anthropic."""

    name = "messages"

    def __init__(self) -> None:
        self.cache = PrefixCache()

    def read(self, http: Http) -> Asked:
        """Read a request."""
        _check_headers(http)
        request = read_messages(http.body)
        talk = messages_conversation(request)
        tokens = talk.tokens()
        if tokens > _CONTEXT_TOKENS:
            message = f"prompt is too long: {tokens} tokens > {_CONTEXT_TOKENS} maximum"
            raise BadRequest(message)
        return AskedMessages(request, talk)

    def count(self, http: Http) -> dict[str, Any]:
        """Return what a request would cost; raises ``BadRequest``."""
        _check_headers(http)
        return {"input_tokens": messages_conversation(read_messages(http.body, needs_bound=False)).tokens()}

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal."""
        return {**_error(refusal), "request_id": f"req_{random_base62(24)}"}

    def headers(self) -> dict[str, str]:
        """Return the headers that Anthropic sends, its account's limits included."""
        return {
            "request-id": f"req_{random_base62(24)}",
            "anthropic-organization-id": "sandbox",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
        }

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops."""
        return BadRequest("Output blocked by content filtering policy")

    def cached(self, asked: Asked) -> tuple[int, tuple[int, int]]:
        """Return what the marks of a request read from and write to the cache."""
        if not isinstance(asked, AskedMessages):
            return 0, (0, 0)
        return cached_tokens(asked.request, self.cache, most=asked.talk.tokens())


class MessagesVoice:
    """Writes one answer; in a stream at most one block is open."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._choice = said.answer.choices[0]
        self._id = f"msg_01{random_base62(22)}"
        self._search_id = f"srvtoolu_01{random_base62(22)}"
        self._index = -1
        self._open = ""
        self._has_begun_answer = False
        self._has_pinged = False

    @property
    def answer_id(self) -> str:
        """Return the id of the answer."""
        return self._id

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""
        body = {**self._head(), "content": self._content(), **self._end()}
        return body if self._said.order.no_usage else {**body, "usage": self._usage()}

    def opening(self) -> list[Event]:
        """Begin the message; the output is counted later."""
        unknown = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        usage = {} if self._said.order.no_usage else {"usage": self._first_usage()}
        return [_event("message_start", message={**self._head(), "content": [], **unknown, **usage})]

    def say(self, delta: Delta) -> list[Event]:
        """Write one piece, opening and closing blocks as its kind demands."""
        events = [] if delta.kind == "thought" else self._begin_answer()
        match delta.kind:
            case "thought":
                events += self._think(delta.text)
            case "call" if delta.call is not None:
                events += [*self._close(), self._start("tool_use", _tool_use(delta.call, {}))]
                events.append(self._delta("input_json_delta", partial_json=""))
            case "arguments":
                events.append(self._delta("input_json_delta", partial_json=delta.text))
            case _:
                events += self._text(delta.text)
        if self._said.order.pings:
            events.append(_event("ping"))
        return events

    def closing(self) -> list[Event]:
        """End the message, less what the order leaves out."""
        order = self._said.order
        events = [*self._begin_answer(), *self._close()]
        if not order.no_finish:
            usage = {} if order.no_usage else {"usage": self._last_usage()}
            events.append(_event("message_delta", delta=self._end(), **usage))
        return events if order.no_done else [*events, _event("message_stop")]

    def failure(self) -> list[Event]:
        """Return an error in the stream."""
        failed = refusal(529)
        failed.kind = self._said.order.error_event
        return [Event(_error(failed), "error")]

    def comment(self) -> str:
        """Return a sign of life."""
        return "keep-alive"

    def _head(self) -> dict[str, Any]:
        return {"model": self._said.model, "id": self._id, "type": "message", "role": "assistant"}

    def _end(self) -> dict[str, Any]:
        choice = self._choice
        reason = "stop_sequence" if choice.stopped_by and choice.finish == "stop" else _STOP[choice.finish]
        details = None
        if reason == "refusal":
            details = {"type": "refusal", "category": None, "explanation": None}
        return {
            "stop_reason": self._said.order.finish or reason,
            "stop_sequence": choice.stopped_by if reason == "stop_sequence" else None,
            "stop_details": details,
        }

    def _content(self) -> list[dict[str, Any]]:
        blocks = [self._thought()] if self._said.answer.thoughts else []
        if self._said.answer.search:
            blocks += [self._searching({"query": self._said.answer.search}), self._found()]
        if self._choice.pieces:
            citations = {"citations": [_citation(self._choice)]} if self._said.answer.search else {}
            blocks.append({"type": "text", "text": self._choice.text, **citations})
        return [*blocks, *(_tool_use(call, _arguments(call)) for call in self._choice.calls)]

    def _thought(self) -> dict[str, Any]:
        if self._said.order.redacted:
            return {"type": "redacted_thinking", "data": enclose("anthropic", self._said.answer.thought)}
        shown = self._said.answer.thought if self._said.answer.shows_thoughts else ""
        return {"type": "thinking", "thinking": shown, "signature": self._signature()}

    def _signature(self) -> str:
        if self._said.answer.shows_thoughts:
            return seal("anthropic", self._said.answer.thought)
        return seal("anthropic-hidden", "")

    def _searching(self, query: dict[str, Any]) -> dict[str, Any]:
        return {"type": "server_tool_use", "id": self._search_id, "name": "web_search", "input": query}

    def _found(self) -> dict[str, Any]:
        result = {"type": "web_search_result", **_PAGE, "encrypted_content": "RXhhbXBsZQ==", "page_age": None}
        return {"type": "web_search_tool_result", "tool_use_id": self._search_id, "content": [result]}

    def _think(self, text: str) -> list[Event]:
        if self._said.order.redacted:
            return []
        opening: list[Event] = []
        if self._open != "thinking":
            opening.append(self._start("thinking", {"type": "thinking", "thinking": "", "signature": ""}))
        return [*opening, *self._ping(), self._delta("thinking_delta", thinking=text)]

    def _begin_answer(self) -> list[Event]:
        """Return what stands between the thoughts and the answer, once."""
        if self._has_begun_answer:
            return []
        self._has_begun_answer = True
        answer, events = self._said.answer, list[Event]()
        if answer.thoughts and (self._said.order.redacted or not answer.shows_thoughts):
            is_redacted = self._said.order.redacted
            block = self._thought() if is_redacted else {**self._thought(), "signature": ""}
            events.append(self._start(block["type"], block))
        if answer.thoughts and not self._said.order.redacted:
            events.append(self._delta("signature_delta", signature=self._signature()))
        return events + self._search_events()

    def _search_events(self) -> list[Event]:
        query = self._said.answer.search
        if not query:
            return []
        piece = msgspec.json.encode({"query": query}).decode()
        return [
            *self._close(),
            self._start("server_tool_use", self._searching({})),
            self._delta("input_json_delta", partial_json=""),
            self._delta("input_json_delta", partial_json=piece),
            *self._close(),
            self._start("web_search_tool_result", self._found()),
        ]

    def _text(self, text: str) -> list[Event]:
        events: list[Event] = []
        if self._open != "text":
            events = [*self._close(), self._start("text", {"type": "text", "text": ""})]
            if self._said.answer.search:
                events.append(self._delta("citations_delta", citation=_citation(self._choice)))
        return [*events, *self._ping(), self._delta("text_delta", text=text)]

    def _ping(self) -> list[Event]:
        """Return the ping that follows the first block's beginning."""
        if self._has_pinged:
            return []
        self._has_pinged = True
        return [_event("ping")]

    def _start(self, kind: str, block: dict[str, Any]) -> Event:
        self._index += 1
        self._open = kind
        return _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, kind: str, **rest: Any) -> Event:
        return _event("content_block_delta", index=self._index, delta={"type": kind, **rest})

    def _close(self) -> list[Event]:
        if not self._open:
            return []
        self._open = ""
        return [_event("content_block_stop", index=self._index)]

    def _usage(self) -> dict[str, Any]:
        return {**self._input(), **self._breakdown(), **self._output(), **_SERVICE}

    def _first_usage(self) -> dict[str, Any]:
        return {**self._input(), **self._breakdown(), "output_tokens": 1, **_SERVICE}

    def _last_usage(self) -> dict[str, Any]:
        return {**self._input(), **self._output()}

    def _input(self) -> dict[str, Any]:
        count = self._said.count
        return {
            "input_tokens": count.input - count.cached - count.written,
            "cache_creation_input_tokens": count.written,
            "cache_read_input_tokens": count.cached,
        }

    def _breakdown(self) -> dict[str, Any]:
        count = self._said.count
        return {
            "cache_creation": {
                "ephemeral_5m_input_tokens": count.written - count.written_long,
                "ephemeral_1h_input_tokens": count.written_long,
            }
        }

    def _output(self) -> dict[str, Any]:
        count = self._said.count
        usage: dict[str, Any] = {"output_tokens": count.output}
        if count.reasoning:
            usage["output_tokens_details"] = {"thinking_tokens": count.reasoning}
        if count.searches:
            usage["server_tool_use"] = {"web_search_requests": count.searches, "web_fetch_requests": 0}
        return usage


_SERVICE = {"service_tier": "standard", "inference_geo": "global"}


def _check_headers(http: Http) -> None:
    if len(http.body) > _MOST_BYTES:
        raise refusal(413)
    if not http.headers.get("x-api-key") and not http.headers.get("authorization", "").startswith("Bearer "):
        message = "x-api-key header is required"
        raise BadRequest(message, status=401)
    if "anthropic-version" not in http.headers:
        message = "anthropic-version: header is required"
        raise BadRequest(message)


def _event(kind: str, **rest: Any) -> Event:
    return Event({"type": kind, **rest}, kind)


def _error(failed: BadRequest) -> dict[str, Any]:
    kind, text = _ERRORS.get(failed.status, _ERRORS[500 if failed.status >= 500 else 400])
    return {"type": "error", "error": {"type": failed.kind or kind, "message": str(failed) or text}}


def _tool_use(call: ToolCall, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.tool.name, "input": arguments}


def _arguments(call: ToolCall) -> Any:
    """Return the arguments as an object; what a bound cut off in mid-air is lost."""
    try:
        return msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return {}


def _citation(choice: Choice) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        **_PAGE,
        "cited_text": choice.text[:150],
        "encrypted_index": "RXhhbXBsZQ==",
    }
