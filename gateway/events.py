"""The internal form of an answer: the events of a stream, and a whole result.

An upstream's reader turns its protocol into these; a client's writer turns these into its format. Within one choice the
parts come one after the other or interleaved, as the upstream sends them: ``formats.sequence`` puts them in order where
a format needs that.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from catalog.pricing import Usage
from gateway.form import Refusal, Text, Thinking, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Began(msgspec.Struct, gc=False):
    """The upstream has begun; its own id of the answer, and when (unix seconds, 0 if it does not say)."""

    upstream_id: str = ""
    created: int = 0


class TextDelta(msgspec.Struct, gc=False):
    """More text; ``logprobs`` is a JSON list in OpenAI's chat shape, where they were asked for."""

    text: str
    choice: int = 0
    logprobs: Raw | None = None
    # Gemini may sign text.
    seal: str = ""
    phase: str = ""


class RefusalDelta(msgspec.Struct, gc=False):
    """More of a refusal."""

    text: str
    choice: int = 0


class ThinkingDelta(msgspec.Struct, gc=False):
    """More of a thought (or of its summary)."""

    text: str
    choice: int = 0
    # A new paragraph of a summary starts here.
    starts_part: bool = False


class ThinkingSealed(msgspec.Struct, gc=False):
    """A thought is complete; see ``form.Thinking`` for the fields."""

    seal: str
    origin: str
    is_redacted: bool = False
    choice: int = 0
    id: str = ""


class ToolBegan(msgspec.Struct, gc=False):
    """A tool call starts; ``key`` counts the calls of its choice from 0."""

    key: int
    id: str
    name: str
    is_custom: bool = False
    seal: str = ""
    choice: int = 0
    namespace: str = ""


class ToolDelta(msgspec.Struct, gc=False):
    """More of a tool call's arguments."""

    key: int
    arguments: str
    choice: int = 0


class Cited(msgspec.Struct, gc=False):
    """A source of the text so far: ``start`` and ``end`` count characters of the text, -1 where unknown."""

    url: str
    title: str = ""
    start: int = -1
    end: int = -1
    choice: int = 0


class Searched(msgspec.Struct, gc=False):
    """The provider has searched the web."""

    id: str
    query: str = ""
    choice: int = 0


class Finished(msgspec.Struct, gc=False):
    """A choice has ended; ``stop_sequence`` names the one that was met, where the upstream says."""

    reason: FinishReason
    choice: int = 0
    stop_sequence: str = ""


class Reported(msgspec.Struct, gc=False):
    """The upstream's usage so far; the last report counts."""

    usage: Usage


class Done(msgspec.Struct, gc=False):
    """The upstream said that its stream has ended."""


Event = (
    Began
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | ThinkingSealed
    | ToolBegan
    | ToolDelta
    | Cited
    | Searched
    | Finished
    | Reported
    | Done
)

AnswerPart = Text | Refusal | Thinking | ToolCall | Searched


class Choice(msgspec.Struct):
    """One answer, its parts in their order."""

    parts: list[AnswerPart]
    reason: FinishReason
    stop_sequence: str = ""
    citations: list[Cited] = []
    logprobs: Raw | None = None


class Result(msgspec.Struct):
    """A whole answer; ``usage`` is ``None`` when the upstream reported none."""

    choices: list[Choice]
    usage: Usage | None
    upstream_id: str = ""
    created: int = 0
