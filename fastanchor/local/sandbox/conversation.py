"""A request as the sandbox's model sees it, whatever the protocol, and what it costs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

from fastanchor.local.sandbox.directives import Directive, has_directive, read_directive, without_directives

_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 85
BYTES_PER_TOKEN = 4
CACHE_FROM_TOKENS = 1024
_CACHE_STEP_TOKENS = 128
_CACHE_ENTRIES = 50_000


class BadRequest(ValueError):
    """A request that the provider would refuse; ``param`` names the field, ``kind`` the provider's own code."""

    def __init__(self, message: str, param: str | None = None, *, status: int = 400, kind: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer; ``kind`` is ``function`` (JSON arguments) or ``custom`` (free text)."""

    name: str
    kind: str = "function"
    schema: dict[str, Any] | None = None
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether a tool must be called; ``names`` are those allowed, all when empty."""

    mode: Literal["auto", "none", "required"] = "auto"
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class Turn:
    """One message: its text, the bytes of what is beside the text, its pictures and the tool results in it."""

    role: str
    text: str = ""
    more_bytes: int = 0
    pictures: int = 0
    results: int = 0

    @property
    def tokens(self) -> int:
        """Return what the message costs."""
        size = len(self.text.encode("utf-8", "replace")) + self.more_bytes
        return _TOKENS_PER_MESSAGE + -(-size // BYTES_PER_TOKEN) + self.pictures * _TOKENS_PER_IMAGE


@dataclass(slots=True)
class Conversation:
    """Everything that decides about the answer."""

    model: str
    turns: list[Turn]
    is_stream: bool = False
    tools: list[Tool] = field(default_factory=list)
    tools_bytes: int = 0
    tool_choice: ToolChoice = ToolChoice()
    is_parallel: bool = True
    can_search: bool = False
    must_search: bool = False
    most_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    answers: int = 1
    seed: int | None = None
    # What the text of the answer must be valid under.
    schema: dict[str, Any] | None = None
    # Tokens of thought before an answer, and whether the caller gets to see them.
    thinks: int = 0
    shows_thoughts: bool = False

    def prompt(self) -> str:
        """Return all text of the conversation."""
        return "\n".join(turn.text for turn in self.turns)

    def last_words(self) -> str:
        """Return the last words of the user, without directives."""
        spoken = [turn.text for turn in self.turns if turn.role == "user" and (turn.text or not turn.results)]
        return without_directives(spoken[-1]) if spoken else ""

    def order(self) -> Directive:
        """Return the last directive in the conversation; raises ``BadDirective``."""
        return read_directive(self.prompt())

    def results(self) -> int:
        """Return how many tool results came since the order was given."""
        ordered = [number for number, turn in enumerate(self.turns) if has_directive(turn.text)]
        return sum(turn.results for turn in self.turns[ordered[-1] + 1 if ordered else 0 :])

    def tokens(self) -> int:
        """Return what the whole input costs."""
        return -(-self.tools_bytes // BYTES_PER_TOKEN) + sum(turn.tokens for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Count:
    """What an answer is charged: ``input`` and ``output`` are totals, the others parts of them."""

    input: int
    cached: int
    written: int
    output: int
    reasoning: int
    searches: int = 0
    # A part of what is written, kept for an hour instead of five minutes.
    written_long: int = 0


class PrefixCache:
    """Remembers the long beginnings of prompts, in steps of 128 tokens from 1,024 on."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def tokens_cached(self, talk: Conversation) -> int:
        """Return how many tokens of the prompt were seen before, and remember all of it."""
        text = f"{talk.model}\n{talk.prompt()}".encode("utf-8", "replace")
        cached, running, start = 0, hashlib.sha256(), 0
        for end in range(_CACHE_STEP_TOKENS, len(text) // BYTES_PER_TOKEN + 1, _CACHE_STEP_TOKENS):
            running.update(text[start : end * BYTES_PER_TOKEN])
            start = end * BYTES_PER_TOKEN
            if end >= CACHE_FROM_TOKENS and self.remembers(running.digest()):
                cached = end
        return cached

    def clear(self) -> None:
        """Forget every prompt."""
        self._seen.clear()

    def remembers(self, digest: bytes) -> bool:
        """Tell whether something was seen before, and remember it."""
        is_known = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > _CACHE_ENTRIES:
            self._seen.popitem(last=False)
        return is_known
