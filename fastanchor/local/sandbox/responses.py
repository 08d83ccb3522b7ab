"""OpenAI's Responses: bodies and the order of a stream's events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox import openai_errors
from fastanchor.local.sandbox.answers import Delta, ToolCall
from fastanchor.local.sandbox.chat import SOURCE, token_logprobs
from fastanchor.local.sandbox.conversation import BadRequest, Conversation
from fastanchor.local.sandbox.dialect import Asked, Event, Http, Said, Usual, Voice
from fastanchor.local.sandbox.responses_memory import Memory
from fastanchor.local.sandbox.responses_request import (
    ResponsesRequest,
    read_responses,
    responses_conversation,
)
from fastanchor.local.sandbox.seals import seal

_PADDING = 16
_LOGPROBS = "message.output_text.logprobs"
_SEALS = "reasoning.encrypted_content"


@dataclass(frozen=True, slots=True)
class AskedResponses:
    """A request that was read."""

    request: ResponsesRequest
    items: list[dict[str, Any]]
    talk: Conversation
    memory: Memory

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return ResponsesVoice(self, said)


class Responses(Usual):
    """The dialect ``responses`` of OpenAI."""

    name = "responses"

    def __init__(self) -> None:
        self.memory = Memory()

    def read(self, http: Http) -> Asked:
        """Read a request."""
        request, items = read_responses(http.body, self.memory)
        return AskedResponses(request, items, responses_conversation(request, items), self.memory)

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal."""
        return openai_errors.body(refusal)

    def headers(self) -> dict[str, str]:
        """Return the headers that OpenAI sends, its account's limits included."""
        return openai_errors.headers()

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops."""
        message = "Invalid prompt: your prompt was flagged as potentially violating our usage policy."
        return BadRequest(message, kind="invalid_prompt")

    def cached(self, _asked: Asked) -> None:
        """OpenAI caches by itself."""


class ResponsesVoice:
    """Writes one response; in a stream at most one output item is open, and its events carry rising numbers."""

    def __init__(self, asked: AskedResponses, said: Said) -> None:
        self._asked = asked
        self._said = said
        self._choice = said.answer.choices[0]
        self._mark = random_base62(40)
        self._created = int(time.time())
        self._output = list(self._items())
        self._number = -1
        self._index = -1
        self._key = -1
        self._has_begun_answer = False

    @property
    def answer_id(self) -> str:
        """Return the id of the response."""
        return f"resp_{self._mark}"

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""
        if self._said.order.failed:
            return self._body("failed", [])
        body = self._body(self._status(), self._output)
        self._asked.memory.keep(body, self._asked.items, is_stored=self._asked.request.store is not False)
        return body

    def opening(self) -> list[Event]:
        """Create the response."""
        body = self._body("in_progress", [])
        return [self._event(f"response.{stage}", response=body) for stage in ("created", "in_progress")]

    def say(self, delta: Delta) -> list[Event]:
        """Write one piece, beginning and ending items as its kind demands."""
        if delta.kind == "thought":
            return self._think(delta.text)
        events = self._begin_answer()
        match delta.kind:
            case "call":
                events += [*self._end_message(), *self._end_call(), *self._begin_call(delta.key)]
            case "arguments" if delta.call is not None:
                kind = _argument_event(delta.call)
                events.append(self._piece(f"response.{kind}.delta", delta=delta.text))
            case _:
                events += self._speak(delta.text)
        return events

    def closing(self) -> list[Event]:
        """End the last item and the response, less what the order leaves out."""
        events = [*self._begin_answer(), *self._end_message(), *self._end_call()]
        if self._said.order.no_finish or self._said.order.no_done:
            return events
        body = self.whole()
        return [*events, self._event(f"response.{body['status']}", response=body)]

    def failure(self) -> list[Event]:
        """Return an error in the stream."""
        if self._said.order.failed:
            return [self._event("response.failed", response=self._body("failed", []))]
        error = {
            "code": self._said.order.error_event or "server_error",
            "message": "The server had an error while processing your request. Sorry about that!",
            "param": None,
        }
        return [self._event("error", **error)]

    def comment(self) -> str:
        """Return a sign of life."""
        return "keep-alive"

    # Items of the output, whole.

    def _items(self) -> list[dict[str, Any]]:
        answer, choice, items = self._said.answer, self._choice, []
        if answer.thoughts:
            items.append(self._reasoning())
        if answer.search:
            items.append(self._search("completed"))
        if choice.pieces:
            items.append(self._message("completed", [self._part(choice.text)]))
        items += [self._call(call, call.arguments, self._call_status()) for call in choice.calls]
        return items

    def _reasoning(self) -> dict[str, Any]:
        id_ = f"rs_{self._mark}"
        answer = self._said.answer
        summary = [{"type": "summary_text", "text": answer.thought}] if answer.shows_thoughts else []
        item: dict[str, Any] = {"id": id_, "type": "reasoning", "summary": summary}
        if _SEALS in (self._asked.request.include or []):
            item["encrypted_content"] = seal("responses", id_)
        return item

    def _search(self, status: str) -> dict[str, Any]:
        action: dict[str, Any] = {"type": "search", "query": self._said.answer.search}
        if "web_search_call.action.sources" in (self._asked.request.include or []):
            action["sources"] = [{"type": "url", "url": SOURCE["url"]}]
        return {"id": f"ws_{self._mark}", "type": "web_search_call", "status": status, "action": action}

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        status = "incomplete" if status == "completed" and self._status() == "incomplete" else status
        head = {"id": f"msg_{self._mark}", "type": "message", "status": status}
        return {**head, "content": content, "role": "assistant"}

    def _part(self, text: str) -> dict[str, Any]:
        if self._choice.finish == "refusal":
            return {"type": "refusal", "refusal": text}
        logprobs = self._logprobs(list(self._choice.pieces)) if text else []
        cited = self._annotations() if text else []
        return {"type": "output_text", "annotations": cited, "logprobs": logprobs, "text": text}

    def _annotations(self) -> list[dict[str, Any]]:
        if not self._said.answer.search:
            return []
        end = len(self._choice.text)
        return [{"type": "url_citation", "start_index": 0, "end_index": end, **SOURCE}]

    def _call(self, call: ToolCall, arguments: str, status: str) -> dict[str, Any]:
        is_custom = call.tool.kind == "custom"
        item = {
            "id": f"{'ctc' if is_custom else 'fc'}_{call.id}",
            "type": "custom_tool_call" if is_custom else "function_call",
            "status": status,
            "input" if is_custom else "arguments": arguments,
            "call_id": f"call_{call.id}",
            "name": call.tool.name,
        }
        return {**item, "namespace": call.tool.namespace} if call.tool.namespace else item

    def _call_status(self) -> str:
        return "incomplete" if self._status() == "incomplete" else "completed"

    # Events of one item.

    def _think(self, text: str) -> list[Event]:
        events: list[Event] = []
        if self._index < 0:
            events = [self._added({**self._reasoning(), "summary": []}), self._summary("part.added", "")]
        return [*events, self._summary("text.delta", text)]

    def _summary(self, stage: str, text: str) -> Event:
        part, _, end = stage.partition(".")
        if part == "part":
            rest: dict[str, Any] = {"part": {"type": "summary_text", "text": text}}
        else:
            rest = {"delta" if end == "delta" else "text": text}
        return self._piece(f"response.reasoning_summary_{stage}", summary_index=0, **rest)

    def _begin_answer(self) -> list[Event]:
        """Return what stands between the thoughts and the answer, once."""
        if self._has_begun_answer:
            return []
        self._has_begun_answer = True
        answer, events = self._said.answer, list[Event]()
        if answer.thoughts:
            if answer.shows_thoughts:
                events = [
                    self._summary("text.done", answer.thought),
                    self._summary("part.done", answer.thought),
                ]
            else:
                events = [self._added(self._reasoning())]
            events.append(self._done())
        return events + (self._search_events() if answer.search else [])

    def _search_events(self) -> list[Event]:
        opening = {key: value for key, value in self._search("in_progress").items() if key != "action"}
        opening["action"] = {"type": "search", "query": self._said.answer.search}
        stages = ("in_progress", "searching", "completed")
        added = self._added(opening)
        return [
            added,
            *(self._piece(f"response.web_search_call.{stage}") for stage in stages),
            self._done(),
        ]

    def _speak(self, text: str) -> list[Event]:
        events: list[Event] = []
        if not self._is_speaking():
            events = [
                self._added(self._message("in_progress", [])),
                self._piece("response.content_part.added", content_index=0, part=self._part("")),
            ]
        rest = {} if self._choice.finish == "refusal" else {"logprobs": self._logprobs([text])}
        kind = "refusal" if self._choice.finish == "refusal" else "output_text"
        return [*events, self._piece(f"response.{kind}.delta", content_index=0, delta=text, **rest)]

    def _is_speaking(self) -> bool:
        return 0 <= self._index < len(self._output) and self._output[self._index]["type"] == "message"

    def _end_message(self) -> list[Event]:
        if not self._is_speaking() or self._key >= 0:
            return []
        text, part = self._choice.text, self._part(self._choice.text)
        place: dict[str, Any] = {"content_index": 0}
        if part["type"] == "refusal":
            events = [self._piece("response.refusal.done", **place, refusal=text)]
        else:
            events = [
                self._piece(
                    "response.output_text.annotation.added", **place, annotation_index=0, annotation=one
                )
                for one in part["annotations"]
            ]
            events.append(
                self._piece("response.output_text.done", **place, text=text, logprobs=part["logprobs"])
            )
        events.append(self._piece("response.content_part.done", **place, part=part))
        return [*events, self._done()]

    def _begin_call(self, key: int) -> list[Event]:
        self._key = key
        return [self._added(self._call(self._choice.calls[key], "", "in_progress"))]

    def _end_call(self) -> list[Event]:
        if self._key < 0:
            return []
        call = self._choice.calls[self._key]
        field = "input" if call.tool.kind == "custom" else "arguments"
        done = self._piece(f"response.{_argument_event(call)}.done", **{field: call.arguments})
        return [done, self._done()]

    def _added(self, item: dict[str, Any]) -> Event:
        self._index += 1
        return self._event("response.output_item.added", output_index=self._index, item=item)

    def _done(self) -> Event:
        item = self._output[self._index]
        return self._event("response.output_item.done", output_index=self._index, item=item)

    def _piece(self, kind: str, **rest: Any) -> Event:
        item = self._output[self._index]
        pads = (
            kind.endswith(".delta")
            and (self._asked.request.stream_options or {}).get("include_obfuscation") is not False
        )
        padding = {"obfuscation": random_base62(_PADDING)} if pads else {}
        return self._event(kind, item_id=item["id"], output_index=self._index, **rest, **padding)

    def _event(self, kind: str, **rest: Any) -> Event:
        self._number += 1
        return Event({"type": kind, "sequence_number": self._number, **rest}, kind)

    # The response around the items.

    def _status(self) -> str:
        return "incomplete" if self._choice.finish in {"length", "filter"} else "completed"

    def _body(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        reason = "content_filter" if self._choice.finish == "filter" else "max_output_tokens"
        error = {"code": self._said.order.error_event or "server_error", "message": "The model failed."}
        has_usage = status in {"completed", "incomplete"} and not self._said.order.no_usage
        return {
            "id": self.answer_id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "completed_at": self._created if status == "completed" else None,
            "error": error if status == "failed" else None,
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            **_echo(self._asked.request),
            "model": self._said.model,
            "output": output,
            "usage": self._usage() if has_usage else None,
        }

    def _usage(self) -> dict[str, Any]:
        count = self._said.count
        return {
            "input_tokens": count.input,
            "input_tokens_details": {"cached_tokens": count.cached, "cache_write_tokens": count.written},
            "output_tokens": count.output,
            "output_tokens_details": {"reasoning_tokens": count.reasoning},
            "total_tokens": count.input + count.output,
        }

    def _logprobs(self, pieces: list[str]) -> list[dict[str, Any]]:
        request = self._asked.request
        if _LOGPROBS not in (request.include or []) and not self._said.order.logprobs:
            return []
        return token_logprobs(pieces, request.top_logprobs or 0)


def _argument_event(call: ToolCall) -> str:
    return "custom_tool_call_input" if call.tool.kind == "custom" else "function_call_arguments"


def _echo(request: ResponsesRequest) -> dict[str, Any]:
    """Return what a response repeats of its request."""
    reasoning, text = request.reasoning or {}, request.text or {}
    return {
        "background": False,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": request.store is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "disabled",
        "user": request.user,
        "metadata": request.metadata or {},
    }
