"""The part of a chat request that changes the answer, and what its prompt costs."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from typing import Any

import msgspec

from fastanchor.local.sandbox.directives import Directive, parse_pairs, read_directive, without_directives

_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 85
_BYTES_PER_TOKEN = 4
_CACHE_FROM_TOKENS = 1024
_CACHE_STEP_TOKENS = 128
_CACHE_ENTRIES = 50_000
_FIELD = re.compile(r"`(?:\$\.)?(\w+)")


class BadRequest(ValueError):
    """A request that OpenAI would refuse with 400; ``param`` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class ChatRequest(msgspec.Struct):
    """The fields read here; every other field is accepted and ignored."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = 1
    seed: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = True
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None

    @property
    def most_tokens(self) -> int | None:
        """Return the caller's bound on the answer."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Say whether the stream ends in a usage chunk."""
        return bool((self.stream_options or {}).get("include_usage"))

    @property
    def wants_obfuscation(self) -> bool:
        """Say whether chunks are padded, which OpenAI does unless told otherwise."""
        return (self.stream_options or {}).get("include_obfuscation") is not False

    def prompt(self) -> str:
        """Return all text of the conversation."""
        return "\n".join(text_of(message) for message in self.messages)

    def last_words(self) -> str:
        """Return the last message of the user, without directives."""
        spoken = [text_of(message) for message in self.messages if message.get("role") == "user"]
        return without_directives(spoken[-1]) if spoken else ""


def read_request(body: bytes) -> ChatRequest:
    """Parse a body; raises ``BadRequest``."""
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
    except msgspec.ValidationError as exc:
        field = _FIELD.search(str(exc))
        raise BadRequest(str(exc), field.group(1) if field else None) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        message = "We could not parse the JSON body of your request."
        raise BadRequest(message) from exc
    if not request.messages:
        message = "Invalid 'messages': empty array. Expected an array with minimum length 1."
        raise BadRequest(message, "messages")
    return request


def directive_of(request: ChatRequest, header: str | None) -> Directive:
    """Return the order of the header, else of the prompt; raises ``BadDirective``."""
    return parse_pairs(header) if header else read_directive(request.prompt())


def text_of(message: dict[str, Any]) -> str:
    """Return the text of a message whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def count_prompt(request: ChatRequest) -> int:
    """Return the input tokens of a request."""
    tools = -(-len(msgspec.json.encode(request.tools)) // _BYTES_PER_TOKEN) if request.tools else 0
    return tools + sum(_count_message(message) for message in request.messages)


def _count_message(message: dict[str, Any]) -> int:
    size = len(text_of(message).encode("utf-8", "replace"))
    if message.get("tool_calls"):
        size += len(msgspec.json.encode(message["tool_calls"]))
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    images = sum(1 for part in parts if isinstance(part, dict) and "text" not in part)
    return _TOKENS_PER_MESSAGE + -(-size // _BYTES_PER_TOKEN) + images * _TOKENS_PER_IMAGE


class PrefixCache:
    """Remembers the long beginnings of prompts, in steps of 128 tokens from 1,024 on."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def tokens_cached(self, request: ChatRequest) -> int:
        """Return how many tokens of the prompt were seen before, and remember all of it."""
        text = f"{request.model}\n{request.prompt()}".encode("utf-8", "replace")
        cached, running, start = 0, hashlib.sha256(), 0
        for end in range(_CACHE_STEP_TOKENS, len(text) // _BYTES_PER_TOKEN + 1, _CACHE_STEP_TOKENS):
            running.update(text[start : end * _BYTES_PER_TOKEN])
            start = end * _BYTES_PER_TOKEN
            if end >= _CACHE_FROM_TOKENS and self._remembers(running.digest()):
                cached = end
        return cached

    def clear(self) -> None:
        """Forget every prompt."""
        self._seen.clear()

    def _remembers(self, digest: bytes) -> bool:
        is_known = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > _CACHE_ENTRIES:
            self._seen.popitem(last=False)
        return is_known
