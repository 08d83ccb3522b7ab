"""Puts the parts of an answer one after the other, for formats in which they may not overlap.

Upstreams may send pieces of several tool calls in turns. Messages and Responses begin and end each part, and know no way
back into one that has ended: what does not belong to the open part is kept back until that one is complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from gateway.events import (
    Began,
    Cited,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Reported,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)

PartKind = Literal["text", "refusal", "thinking", "tool"]


class PartBegan(msgspec.Struct, gc=False):
    """A part begins: ``index`` counts the parts from 0; ``tool`` says which tool is called, ``phase`` is a text's."""

    index: int
    kind: PartKind
    tool: ToolBegan | None = None
    phase: str = ""


class PartEnded(msgspec.Struct, gc=False):
    """The part that began last is complete."""

    index: int
    kind: PartKind


Ordered = PartBegan | PartEnded | Event

_KINDS: dict[type, PartKind] = {
    TextDelta: "text",
    RefusalDelta: "refusal",
    ThinkingDelta: "thinking",
    ThinkingSealed: "thinking",
    ToolBegan: "tool",
    ToolDelta: "tool",
}


class _Part:
    """One part: open, or waiting with all that came for it."""

    __slots__ = ("arguments", "events", "index", "is_sealed", "kind", "phase", "tool")

    def __init__(self, kind: PartKind | None, phase: str = "", tool: ToolBegan | None = None) -> None:
        # ``None`` for what stands between parts, such as a search.
        self.kind = kind
        self.phase = phase
        self.tool = tool
        self.index = -1
        self.is_sealed = False
        self.arguments: list[str] = []
        self.events: list[Event] = []

    def takes(self, event: Event) -> bool:
        """Tell whether an event is more of this part (tools are found by their key instead)."""
        kind = type(event)
        if self.kind != _KINDS[kind] or self.is_sealed:
            return False
        if kind is TextDelta:
            return self.phase == event.phase  # type: ignore[union-attr]
        return not (kind is ThinkingSealed and event.is_redacted)  # type: ignore[union-attr]

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing more can come for it: a tool call is complete when its arguments are an object."""
        if self.tool is None:
            return True
        if self.tool.is_custom or not (self.arguments and self.arguments[-1].rstrip().endswith("}")):
            return False
        try:
            msgspec.json.decode("".join(self.arguments))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class Sequence:
    """The events of one answer in an order in which parts never overlap; other choices than the first are left out."""

    __slots__ = ("_count", "_open", "_out", "_tools", "_waiting")

    def __init__(self) -> None:
        self._open: _Part | None = None
        self._waiting: list[_Part] = []
        self._tools: dict[int, _Part] = {}
        self._count = 0
        self._out: list[Ordered] = []

    def order(self, events: Iterable[Event]) -> list[Ordered]:
        """Return what can be said now that these events have come."""
        for event in events:
            kind = type(event)
            if kind is Began or kind is Reported:
                self._out.append(event)
            elif kind is Done:
                self._flush()
                self._out.append(event)
            elif not event.choice:  # type: ignore[union-attr]
                self._take(event)
        out, self._out = self._out, []
        return out

    def end(self) -> list[Ordered]:
        """Return what was kept back and end the open part, for a stream that must stop here."""
        self._flush()
        out, self._out = self._out, []
        return out

    def _take(self, event: Event) -> None:
        if isinstance(event, ToolDelta):
            self._take_arguments(event)
        elif isinstance(event, ToolBegan):
            part = self._tools[event.key] = _Part("tool", tool=event)
            self._begin(part)
        elif isinstance(event, Finished):
            self._flush()
            self._out.append(event)
        elif isinstance(event, Searched):
            part = _Part(None)
            part.events.append(event)
            self._begin(part)
        elif isinstance(event, Cited):
            self._add(self._last, event)
        elif not _is_empty(event):
            self._take_words(event)

    @property
    def _last(self) -> _Part | None:
        return self._waiting[-1] if self._waiting else self._open

    def _take_words(self, event: Event) -> None:
        part = self._last
        if part is None or not part.takes(event):
            part = _Part(_KINDS[type(event)], getattr(event, "phase", ""))
            self._begin(part)
        self._add(part, event)
        if type(event) is ThinkingSealed:
            part.is_sealed = True

    def _take_arguments(self, event: ToolDelta) -> None:
        part = self._tools.get(event.key)
        if part is None or not event.arguments:
            return
        part.arguments.append(event.arguments)
        self._add(part, event)
        if part is self._open and self._waiting and part.is_complete:
            self._advance()

    def _add(self, part: _Part | None, event: Event) -> None:
        # What comes for a call whose arguments were complete already can only be blanks.
        if part is None or part is self._open:
            self._out.append(event)
        elif part in self._waiting:
            part.events.append(event)

    def _begin(self, part: _Part) -> None:
        self._waiting.append(part)
        if self._open is None or self._open.is_complete:
            self._advance()

    def _advance(self) -> None:
        """End the open part and begin those that wait, up to the first that may still grow."""
        self._end_open()
        while self._waiting:
            part = self._waiting.pop(0)
            if part.kind is None:
                self._out += part.events
                continue
            self._show(part)
            if not self._waiting or not part.is_complete:
                return
            self._end_open()

    def _show(self, part: _Part) -> None:
        assert part.kind is not None
        part.index, self._count = self._count, self._count + 1
        self._open = part
        self._out.append(PartBegan(part.index, part.kind, part.tool, part.phase))
        self._out += part.events
        part.events = []

    def _end_open(self) -> None:
        if self._open is not None and self._open.kind is not None:
            self._out.append(PartEnded(self._open.index, self._open.kind))
            self._open = None

    def _flush(self) -> None:
        while self._waiting or self._open is not None:
            self._advance()


def _is_empty(event: Event) -> bool:
    if isinstance(event, ThinkingSealed):
        return False
    if isinstance(event, TextDelta) and (event.seal or event.logprobs is not None):
        return False
    return not getattr(event, "text", "")
