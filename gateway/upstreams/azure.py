"""Azure OpenAI: chat completions with what Azure's content filters add.

A channel's base URL is ``https://RESOURCE.openai.azure.com/openai/v1``. The filters tell their findings in chunks of
their own, without id, model or delta, which the SDKs of chat completions do not understand; and in each choice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.upstreams.base import NONSENSE, Splitter
from gateway.upstreams.openai_chat import OpenAIChat
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()
_MARK = b"_filter_"
_OF_ANSWERS = ("prompt_filter_results", "prompt_annotations")
_OF_CHOICES = ("content_filter_results", "content_filter_offsets", "content_filter_result")
_HEAD = ("id", "object", "created", "model")


class AzureChat(OpenAIChat):
    """The adapter to Azure OpenAI; see ``Adapter``."""

    def splitter(self) -> Splitter:
        """See ``Adapter.splitter``."""
        return AzureSplitter()


class AzureSplitter(EventSplitter):
    """Cuts a stream into chunks as OpenAI itself sends them."""

    __slots__ = ("_head",)

    def __init__(self) -> None:
        super().__init__()
        self._head: dict[str, Any] = {}

    def feed(self, piece: bytes) -> list[bytes]:
        """See ``Splitter.feed``."""
        return self._cleaned(super().feed(piece))

    def finish(self) -> list[bytes]:
        """See ``Splitter.finish``."""
        return self._cleaned(super().finish())

    def _cleaned(self, events: list[bytes]) -> list[bytes]:
        return [clean for event in events if (clean := self._clean(event)) is not None]

    def _clean(self, event: bytes) -> bytes | None:
        """Return a chunk without the filters' findings; ``None`` for one that held nothing else."""
        if _MARK not in event:
            return event
        chunk = _object(event)
        if chunk is None:
            return event
        strip(chunk)
        said = [choice for choice in _choices(chunk) if choice.get("delta") or choice.get("finish_reason")]
        if not (said or chunk.get("usage") or chunk.get("error")):
            return None
        if chunk.get("id"):
            self._head = {name: chunk[name] for name in _HEAD if name in chunk}
        for choice in said:
            # A filter that ends an answer says so without a delta.
            choice.setdefault("delta", {})
        return _ENCODER.encode(chunk | self._head | {"choices": said})


def without_filters(body: bytes) -> bytes:
    """Return a whole answer without the filters' findings."""
    answer = _object(body) if _MARK in body else None
    if answer is None:
        return body
    strip(answer)
    return _ENCODER.encode(answer)


def strip(answer: dict[str, Any]) -> None:
    """Take the filters' findings out of an answer or chunk."""
    for name in _OF_ANSWERS:
        answer.pop(name, None)
    for choice in _choices(answer):
        for name in _OF_CHOICES:
            choice.pop(name, None)


def _choices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    choices = answer.get("choices")
    return [each for each in choices if isinstance(each, dict)] if isinstance(choices, list) else []


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        value: Any = msgspec.json.decode(raw)
    except NONSENSE:
        # Whoever reads it next says so.
        return None
    return value if isinstance(value, dict) else None
