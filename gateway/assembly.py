"""A whole answer put together from the events of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from catalog.pricing import Usage
from gateway.events import (
    AnswerPart,
    Began,
    Choice,
    Cited,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Reported,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Refusal, Text, Thinking, ToolCall


class _Open:
    """One choice that is being put together."""

    __slots__ = ("calls", "choice", "finished", "logprobs", "pieces")

    def __init__(self) -> None:
        self.choice = Choice(parts=[], reason="stop")
        self.finished = False
        self.calls: dict[int, ToolCall] = {}
        # The texts of each part, joined only at the end: a long answer comes in thousands of pieces.
        self.pieces: dict[int, list[str]] = {}
        self.logprobs: list[Any] = []

    def say(self, kind: Callable[[str], Text | Refusal | Thinking], text: str) -> AnswerPart:
        """Add text to the last part if it is of this kind and still open, else begin one."""
        last = self.choice.parts[-1] if self.choice.parts else None
        if last is None or type(last) is not kind or (isinstance(last, Thinking) and last.seal):
            self.choice.parts.append(last := kind(""))
        self.pieces.setdefault(id(last), []).append(text)
        return last

    def close(self) -> Choice:
        """Return the choice with the text of each part."""
        for part in self.choice.parts:
            if isinstance(part, ToolCall):
                part.arguments = "".join(self.pieces.get(id(part), ()))
            elif not isinstance(part, Searched):
                part.text = "".join(self.pieces.get(id(part), ()))
        if self.logprobs:
            self.choice.logprobs = msgspec.Raw(msgspec.json.encode(self.logprobs))
        return self.choice


class Assembly:
    """Takes the events of a stream in their order and gives the answer that they amount to."""

    def __init__(self) -> None:
        self._choices: dict[int, _Open] = {}
        self._usage: Usage | None = None
        self._upstream_id = ""
        self._created = 0
        self._ways: dict[type, Callable[[Any], None]] = {
            Began: self._begin,
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ThinkingDelta: self._thought,
            ThinkingSealed: self._seal,
            ToolBegan: self._tool,
            ToolDelta: self._arguments,
            Cited: lambda event: self._of(event).choice.citations.append(event),
            Searched: lambda event: self._of(event).choice.parts.append(event),
            Finished: self._finish,
            Reported: self._report,
        }

    @property
    def is_finished(self) -> bool:
        """Tell whether there is a choice and each has ended."""
        return bool(self._choices) and all(each.finished for each in self._choices.values())

    def take(self, events: Iterable[Event]) -> None:
        """Add what happened."""
        for event in events:
            way = self._ways.get(type(event))
            if way is not None:
                way(event)

    def result(self) -> Result:
        """Return the answer so far; to be asked once."""
        choices = [each.close() for _, each in sorted(self._choices.items())]
        return Result(choices, self._usage, self._upstream_id, self._created)

    def _of(self, event: Any) -> _Open:
        return self._choices.setdefault(event.choice, _Open())

    def _begin(self, event: Began) -> None:
        self._upstream_id = self._upstream_id or event.upstream_id
        self._created = self._created or event.created

    def _text(self, event: TextDelta) -> None:
        part = self._of(event).say(Text, event.text)
        assert isinstance(part, Text)
        part.signature = event.seal or part.signature
        part.phase = event.phase or part.phase
        if event.logprobs is not None:
            self._of(event).logprobs += msgspec.json.decode(event.logprobs) or ()

    def _refusal(self, event: RefusalDelta) -> None:
        self._of(event).say(Refusal, event.text)

    def _thought(self, event: ThinkingDelta) -> None:
        choice = self._of(event)
        last = choice.choice.parts[-1] if choice.choice.parts else None
        if event.starts_part and isinstance(last, Thinking) and not last.seal and choice.pieces.get(id(last)):
            choice.say(Thinking, "\n\n")
        choice.say(Thinking, event.text)

    def _seal(self, event: ThinkingSealed) -> None:
        parts = self._of(event).choice.parts
        last = parts[-1] if parts else None
        if not isinstance(last, Thinking) or last.seal or event.is_redacted:
            parts.append(last := Thinking())
        last.seal, last.origin, last.id = event.seal, event.origin, event.id
        last.is_redacted = event.is_redacted

    def _tool(self, event: ToolBegan) -> None:
        choice = self._of(event)
        call = ToolCall(
            event.id, event.name, "", is_custom=event.is_custom, seal=event.seal, namespace=event.namespace
        )
        choice.calls[event.key] = call
        choice.choice.parts.append(call)

    def _arguments(self, event: ToolDelta) -> None:
        choice = self._of(event)
        if call := choice.calls.get(event.key):
            choice.pieces.setdefault(id(call), []).append(event.arguments)

    def _finish(self, event: Finished) -> None:
        choice = self._of(event)
        choice.finished = True
        choice.choice.reason, choice.choice.stop_sequence = event.reason, event.stop_sequence

    def _report(self, event: Reported) -> None:
        self._usage = event.usage


def taken_apart(result: Result) -> list[Event]:
    """Return the events that a whole answer amounts to."""
    events: list[Event] = [Began(result.upstream_id, result.created)]
    for index, choice in enumerate(result.choices):
        events += _told(choice, index)
    if result.usage is not None:
        events.append(Reported(result.usage))
    return [*events, Done()]


def _told(choice: Choice, index: int) -> Iterable[Event]:
    calls, logprobs = 0, choice.logprobs
    for part in choice.parts:
        match part:
            case Text():
                yield TextDelta(part.text, index, logprobs, part.signature, part.phase)
                logprobs = None
            case Refusal():
                yield RefusalDelta(part.text, index)
            case Thinking():
                yield from _thought(part, index)
            case ToolCall():
                yield ToolBegan(
                    calls, part.id, part.name, part.is_custom, part.seal, index, namespace=part.namespace
                )
                yield ToolDelta(calls, part.arguments, index)
                calls += 1
            case Searched():
                yield part
    yield from choice.citations
    yield Finished(choice.reason, index, choice.stop_sequence)


def _thought(part: Thinking, index: int) -> Iterable[Event]:
    if part.text:
        yield ThinkingDelta(part.text, index)
    if part.seal:
        yield ThinkingSealed(part.seal, part.origin, part.is_redacted, index, part.id)
