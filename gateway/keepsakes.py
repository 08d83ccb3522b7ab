"""What an answer thought before it called tools, kept for clients that do not send it back.

Providers want the thoughts of a turn that called tools again with the results: Anthropic and Gemini with their
signatures, DeepSeek as text. Most clients of chat completions drop them. Here is what is kept of an answer, and how it
is put back; ``gateway.memory`` keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from gateway.asked import Attempt
from gateway.assembly import Assembly
from gateway.events import Event, Result, ThinkingDelta, ThinkingSealed, ToolBegan
from gateway.form import Form, Message, Part, Text, Thinking, ToolCall

# Thoughts as text, or with the seal by which their provider knows them.
Need = Literal["", "text", "seal"]
# The thoughts, and the calls without their arguments.
Keepsake = list[Thinking | ToolCall]

MAX_TURNS = 64
_KEPT = (ThinkingDelta, ThinkingSealed, ToolBegan)


class Remembering:
    """A passage or adapter whose upstream may want earlier thoughts back."""

    def need(self, attempt: Attempt) -> Need:
        """Return what is wanted back of earlier thoughts, if anything."""
        raise NotImplementedError


class Keeper:
    """Follows a stream and keeps what its first choice thought."""

    __slots__ = ("_assembly", "_has_calls")

    def __init__(self) -> None:
        self._assembly = Assembly()
        self._has_calls = False

    def take(self, events: Sequence[Event]) -> None:
        """Note what happened."""
        for event in events:
            if isinstance(event, _KEPT) and event.choice == 0:
                self._assembly.take((event,))
                self._has_calls = self._has_calls or isinstance(event, ToolBegan)

    def keepsake(self) -> Keepsake:
        """Return what must be kept, if anything; to be asked once, at the end."""
        return keepsake_of(self._assembly.result()) if self._has_calls else []


def keepsake_of(result: Result) -> Keepsake:
    """Return what must be kept of a whole answer, if anything."""
    parts = result.choices[0].parts if result.choices else []
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    calls = [
        ToolCall(part.id, part.name, "", part.is_custom, part.seal)
        for part in parts
        if isinstance(part, ToolCall)
    ]
    return [*thoughts, *calls] if calls and (thoughts or any(call.seal for call in calls)) else []


def name_of(form: Form, call: ToolCall) -> str:
    """Return the name under which the thoughts before a call are kept.

    Some servers number their calls alike in every answer, so the beginning of the conversation is part of it.
    """
    first = next((message for message in form.messages if message.role == "user"), None)
    mark = hashlib.blake2b(digest_size=18)
    for part in (
        call.id,
        call.name,
        *(each.text for each in (first.parts if first else ()) if isinstance(each, Text)),
    ):
        mark.update(len(part).to_bytes(8, "big") + part.encode("utf-8", "surrogatepass"))
    return mark.hexdigest()


def lacking(form: Form, need: Need) -> dict[str, Message]:
    """Return the turns of a form whose thoughts are missing, the newest first, by the name that they are kept under."""
    turns: dict[str, Message] = {}
    for message in reversed(form.messages):
        if message.role != "assistant" or len(turns) >= MAX_TURNS:
            continue
        call = next((part for part in message.parts if isinstance(part, ToolCall)), None)
        if call is not None and not _has_thoughts(message, need):
            turns[name_of(form, call)] = message
    return turns


def _has_thoughts(message: Message, need: Need) -> bool:
    if need == "seal":
        return any(isinstance(part, Thinking | ToolCall) and part.seal for part in message.parts)
    return any(isinstance(part, Thinking) and part.text for part in message.parts)


def restored(form: Form, lost: Mapping[str, Message], found: Mapping[str, Keepsake]) -> Form:
    """Return a copy of a form with what was kept back in its turns."""
    kept = {id(message): found[name] for name, message in lost.items() if name in found}
    messages = [
        Message(message.role, _with(message.parts, kept[id(message)]), message.name)
        if id(message) in kept
        else message
        for message in form.messages
    ]
    return msgspec.structs.replace(form, messages=messages)


def _with(parts: Iterable[Part], kept: Keepsake) -> list[Part]:
    """Return a turn with its thoughts where they were: the first of them ahead of all, each other before its call."""
    parts = list(parts)
    first, before, last = _placed(kept, {part.id for part in parts if isinstance(part, ToolCall)})
    seals = {part.id: part.seal for part in kept if isinstance(part, ToolCall)}
    whole: list[Part] = [*first]
    for part in parts:
        if isinstance(part, ToolCall):
            whole += before.pop(part.id, ())
            whole.append(msgspec.structs.replace(part, seal=part.seal or seals.get(part.id, "")))
        # What the client showed of the thoughts is part of what was kept.
        elif not (isinstance(part, Thinking) and (first or before or last)):
            whole.append(part)
    return [*whole, *last]


def _placed(
    kept: Keepsake, calls: set[str]
) -> tuple[list[Thinking], dict[str, list[Thinking]], list[Thinking]]:
    """Return the thoughts before anything else, those before later calls by the call's id, and those after all calls."""
    first: list[Thinking] = []
    before: dict[str, list[Thinking]] = {}
    waiting: list[Thinking] = []
    has_called = False
    for part in kept:
        if isinstance(part, Thinking):
            waiting.append(part)
        elif part.id in calls:
            target = before.setdefault(part.id, []) if has_called else first
            target += waiting
            waiting, has_called = [], True
    return (first, before, waiting) if has_called else (waiting, {}, [])
