"""The objects of a Responses answer: the response itself, its items and its usage, for streams and whole answers."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.events import Cited, FinishReason
from gateway.formats.responses_body import SEALS, ResponsesRequest
from gateway.formats.responses_ids import item_id
from gateway.formats.responses_seals import Seal, wrap
from gateway.formats.responses_tools import Namespaces

# What an answer that did not end by itself is incomplete for.
INCOMPLETE: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_id(request_id: str) -> str:
    """Return the id of a response: made from the request's own, so that both can be found together."""
    return f"resp_{request_id.removeprefix('req_')}"


def shows_seals(body: ResponsesRequest) -> bool:
    """Tell whether thoughts are shown with their seals.

    They are when asked for, and in every response that is kept: the next turn needs them.
    """
    return body.includes(SEALS) or body.store is not False


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's ``usage`` of a response."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def snapshot(body: ResponsesRequest, attempt: Attempt, created: int) -> dict[str, Any]:
    """Return a response that has begun, with all that was asked told back."""
    reasoning, text = body.reasoning, body.text
    return {
        "id": response_id(attempt.request_id),
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": bool(body.background),
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "model": attempt.model.id,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "presence_penalty": 0.0,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "prompt_cache_retention": body.prompt_cache_retention,
        "reasoning": {
            "effort": reasoning and reasoning.effort,
            "summary": reasoning and (reasoning.summary or reasoning.generate_summary),
        },
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": body.store is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {
            "format": {"type": "text"} if text is None or text.format is UNSET else text.format,
            "verbosity": (text and text.verbosity) or "medium",
        },
        "tool_choice": "auto" if body.tool_choice is UNSET else body.tool_choice,
        "tools": _tools(body),
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": body.user,
        "metadata": body.metadata or {},
    }


_DEFAULTS: dict[str, dict[str, Any]] = {
    "function": {"description": None, "parameters": None, "strict": None},
    "namespace": {"description": ""},
}


def _tools(body: ResponsesRequest) -> list[Any]:
    if body.tools is UNSET:
        return []
    tools: list[dict[str, Any]] = msgspec.json.decode(body.tools)
    return [_DEFAULTS.get(tool["type"], {}) | tool for tool in tools]


def ended(
    response: dict[str, Any], reason: FinishReason, output: list[dict[str, Any]], usage: Usage, now: int
) -> dict[str, Any]:
    """Return a response as it is when it has ended."""
    why = INCOMPLETE.get(reason)
    return response | {
        "status": "incomplete" if why else "completed",
        "completed_at": None if why else now,
        "incomplete_details": {"reason": why} if why else None,
        "output": output,
        "usage": usage_object(usage),
    }


class Items:
    """Makes the items of one response; their ids are derived from the response's and their place in it."""

    def __init__(self, attempt: Attempt, namespaces: Namespaces) -> None:
        self._request_id = attempt.request_id
        self._namespaces = namespaces

    def _id(self, prefix: str, index: int) -> str:
        return item_id(prefix, self._request_id, index)

    def message(self, index: int, phase: str = "") -> dict[str, Any]:
        """Return a message that has begun."""
        item = {
            "id": self._id("msg", index),
            "type": "message",
            "status": "in_progress",
            "content": [],
            "role": "assistant",
        }
        return item | {"phase": phase} if phase else item

    def reasoning(self, index: int) -> dict[str, Any]:
        """Return a thought that has begun."""
        return {"id": self._id("rs", index), "type": "reasoning", "summary": []}

    def sealed(self, index: int, seal: Seal) -> dict[str, Any]:
        """Return a thought that is nothing but a seal."""
        return self.reasoning(index) | {"encrypted_content": wrap(seal)}

    def call(self, index: int, call_id: str, name: str, *, is_custom: bool) -> dict[str, Any]:
        """Return a tool call that has begun."""
        namespace, own_name = self._namespaces.place(name)
        kind, prefix, field = (
            ("custom_tool_call", "ctc", "input") if is_custom else ("function_call", "fc", "arguments")
        )
        item = {
            "id": self._id(prefix, index),
            "type": kind,
            "status": "in_progress",
            field: "",
            "call_id": call_id,
            "name": own_name,
        }
        return item | {"namespace": namespace} if namespace else item

    def search(self, index: int, query: str) -> dict[str, Any]:
        """Return a search that has begun."""
        action = {"type": "search", "query": query, "queries": [query] if query else []}
        return {
            "id": self._id("ws", index),
            "type": "web_search_call",
            "status": "in_progress",
            "action": action,
        }


def text_part(text: str, annotations: list[Any], logprobs: list[Any]) -> dict[str, Any]:
    """Return a text inside a message."""
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


def annotation(cited: Cited, offset: int = 0) -> dict[str, Any]:
    """Return a source of a text that begins ``offset`` characters into the answer's."""
    start = max(0, cited.start - offset)
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": max(start, cited.end - offset),
        "title": cited.title,
        "url": cited.url,
    }


def logprobs_of(raw: msgspec.Raw | None) -> list[dict[str, Any]]:
    """Return log probabilities of chat completions as Responses has them."""
    if raw is None:
        return []
    try:
        shown: list[dict[str, Any]] = msgspec.json.decode(raw, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [_with_bytes(each) for each in shown]


def _with_bytes(logprob: dict[str, Any]) -> dict[str, Any]:
    tops = logprob.get("top_logprobs")
    filled = [_with_bytes(each) for each in tops if isinstance(each, dict)] if isinstance(tops, list) else []
    return logprob | {"bytes": logprob.get("bytes") or [], "top_logprobs": filled}
