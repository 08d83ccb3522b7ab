"""What the sandbox's model says: thoughts, text, tool calls or a refusal, cut to the caller's bounds and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from random import Random
from typing import Any, Literal

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox import prose
from fastanchor.local.sandbox.conversation import Conversation, Count, Tool
from fastanchor.local.sandbox.directives import Directive, without_directives
from fastanchor.local.sandbox.examples import Examples
from fastanchor.local.sandbox.script import Step

Finish = Literal["stop", "length", "tool_calls", "refusal", "filter"]

# A model with more tools than this is left alone unless it is told which to use: agents offer dangerous ones.
_MOST_TOOLS_TO_GUESS_FROM = 3
_ANY_OBJECT = {
    "type": "object",
    "properties": {"topic": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["topic", "answer"],
}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call; its tool's ``kind`` is ``function`` (JSON arguments) or ``custom`` (free text)."""

    id: str
    tool: Tool
    pieces: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """Return the arguments in one piece."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Delta:
    """One piece of an answer; ``key`` counts the tool calls of a choice."""

    kind: Literal["thought", "text", "refusal", "call", "arguments"]
    choice: int = 0
    text: str = ""
    call: ToolCall | None = None
    key: int = 0
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: text pieces and tool calls, or the pieces of a refusal."""

    pieces: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish: Finish
    # The sequence that ended the text.
    stopped_by: str | None = None

    @property
    def tokens(self) -> int:
        """Return how many pieces the caller gets."""
        return len(self.pieces) + sum(len(call.pieces) for call in self.calls)

    @property
    def text(self) -> str:
        """Return the text in one piece."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Answer:
    """All choices, what was thought before them, and what was searched for."""

    choices: tuple[Choice, ...]
    thoughts: tuple[str, ...] = ()
    shows_thoughts: bool = False
    search: str = ""

    @property
    def reasoning_tokens(self) -> int:
        """Return what was thought, shown or not."""
        return len(self.thoughts)

    @property
    def thought(self) -> str:
        """Return the thoughts in one piece."""
        return "".join(self.thoughts)

    @property
    def output_tokens(self) -> int:
        """Return the output tokens, reasoning included."""
        return self.reasoning_tokens + sum(choice.tokens for choice in self.choices)

    def deltas(self) -> Iterator[Delta]:
        """Yield everything piece by piece, the choices taking turns."""
        if self.shows_thoughts:
            yield from (Delta("thought", text=piece) for piece in self.thoughts)
        turns = zip_longest(*(_deltas(index, choice) for index, choice in enumerate(self.choices)))
        yield from (delta for delta in chain.from_iterable(turns) if delta is not None)


def compose(talk: Conversation, order: Directive) -> Answer:
    """Return the answer to a conversation; the same one gets the same answer."""
    return _Composer(talk, order).answer()


def count(answer: Answer, order: Directive, *, prompt: int, cached: int, written: tuple[int, int]) -> Count:
    """Return what is reported: the counts, or the numbers that the order wants instead."""
    total = order.usage_in
    if total is None:
        total = prompt
    elif order.usage_cached is None:
        cached, written = 0, (0, 0)
    long = 0 if order.usage_written is not None else written[1]
    output = _first(order.usage_out, answer.output_tokens)
    return Count(
        input=total,
        cached=_first(order.usage_cached, cached),
        written=_first(order.usage_written, sum(written)),
        written_long=long,
        output=output,
        reasoning=_first(order.usage_reasoning, min(answer.reasoning_tokens, output)),
        searches=1 if answer.search else 0,
    )


def _first(ordered: int | None, counted: int) -> int:
    return counted if ordered is None else ordered


class _Composer:
    """Makes one answer."""

    def __init__(self, talk: Conversation, order: Directive) -> None:
        self._talk = talk
        self._order = order
        self._results = talk.results()
        self._step: Step = order.step(self._results)
        self._about = talk.last_words()
        self._prompt = without_directives(talk.prompt())

    def answer(self) -> Answer:
        most = None if self._order.ignore_max else self._talk.most_tokens
        thoughts = self._thoughts()
        if most is not None:
            thoughts = thoughts[: most // 2]
            most -= len(thoughts)
        choices = tuple(self._widened(self._choice(index, most)) for index in range(self._talk.answers))
        return Answer(choices, tuple(thoughts), self._talk.shows_thoughts, self._search())

    def _widened(self, choice: Choice) -> Choice:
        """Return a choice with the one big piece that may be ordered before its text."""
        if not self._order.big_line:
            return choice
        return replace(choice, pieces=("x" * self._order.big_line, *choice.pieces))

    def _thoughts(self) -> list[str]:
        ordered = self._step.think
        tokens = self._talk.thinks
        if ordered is not None:
            if not ordered.isdigit():
                return prose.tokenize(ordered)
            tokens = int(ordered)
        source = prose.seeded("thought", self._prompt)
        return prose.write(source, about=prose.topics(self._about), tokens=tokens, is_exact=True)

    def _search(self) -> str:
        if self._step.search is not None:
            return self._step.search if self._talk.can_search else ""
        return " ".join(prose.topics(self._about)) if self._talk.must_search else ""

    def _choice(self, index: int, most: int | None) -> Choice:
        source = prose.seeded(self._talk.model, self._prompt, self._talk.seed, index)
        if self._step.refuse is not None:
            return _cut_text(prose.tokenize(self._step.refuse), most, "refusal")
        calls = tuple(self._calls(source))
        if calls:
            said = prose.tokenize(self._step.text or "")
            return _cut_calls(tuple(said), calls, most)
        return self._spoken(source, most)

    def _spoken(self, source: Random, most: int | None) -> Choice:
        pieces = self._text(source)
        text = "".join(pieces)
        kept, stopped_by = _before_stop(text, self._talk.stop)
        if kept != text:
            pieces = prose.tokenize(kept)
        finish: Finish = "length" if self._order.length else "filter" if self._order.filtered else "stop"
        return _cut_text(pieces, most, finish, stopped_by)

    def _text(self, source: Random) -> list[str]:
        if self._step.text is not None:
            return prose.tokenize(self._step.text)
        schema = self._talk.schema or (_ANY_OBJECT if self._order.json else None)
        if schema is not None:
            value = Examples(schema, source=source, prompt=self._about).value()
            return prose.tokenize(msgspec.json.encode(value).decode())
        about = prose.topics(self._about)
        if self._order.tokens is not None:
            return prose.write(source, about=about, tokens=self._order.tokens, is_exact=True)
        return prose.write(source, about=about, tokens=prose.natural_length(source), is_exact=False)

    def _calls(self, source: Random) -> Iterator[ToolCall]:
        offered = {tool.name: tool for tool in self._talk.tools}
        if self._step.calls:
            for wanted in self._step.calls:
                # A script may run in a program that also asks small things without tools, such as a title.
                if self._order.script and wanted.name not in offered:
                    continue
                tool = offered.get(wanted.name, Tool(wanted.name))
                yield self._call(tool, source, wanted.arguments)
        elif self._step.text is None and not self._order.script and not self._order.json:
            for tool in self._tools_to_call():
                yield self._call(tool, source, None)

    def _tools_to_call(self) -> list[Tool]:
        """Return the tools to call now: those named in the prompt, else the first; none after a tool's answer."""
        choice, tools = self._talk.tool_choice, self._talk.tools
        if choice.names:
            tools = [tool for tool in tools if tool.name in choice.names]
        has_result = bool(self._talk.turns and self._talk.turns[-1].results)
        if choice.mode == "none" or not tools or (has_result and choice.mode == "auto"):
            return []
        if has_result:
            # Frameworks put the tool that takes the final answer last.
            return tools[-1:]
        if choice.mode == "required" and choice.names:
            return tools[:1]
        named = [tool for tool in tools if tool.name in self._about]
        if choice.mode == "auto" and len(tools) > _MOST_TOOLS_TO_GUESS_FROM:
            return []
        return named if named and self._talk.is_parallel else (named or tools)[:1]

    def _call(self, tool: Tool, source: Random, arguments: str | None) -> ToolCall:
        if arguments is not None:
            pieces = prose.tokenize(arguments)
        elif tool.kind == "custom":
            pieces = prose.write(source, about=prose.topics(self._about), tokens=12, is_exact=True)
        else:
            schema = tool.schema or {"type": "object", "properties": {}}
            value = Examples(schema, source=source, prompt=self._about).value()
            pieces = prose.tokenize(msgspec.json.encode(value).decode())
        return ToolCall(random_base62(24), tool, tuple(pieces))


def answer_schema(kind: str | None, schema: Any) -> dict[str, Any] | None:
    """Return what an answer in the format ``kind`` must be valid under."""
    if kind == "json_schema" and isinstance(schema, dict):
        return dict(schema)
    return _ANY_OBJECT if kind == "json_object" else None


def _before_stop(text: str, stops: list[str]) -> tuple[str, str | None]:
    met: str | None = None
    for sequence in stops:
        if sequence and sequence in text:
            text, met = text.split(sequence, 1)[0], sequence
    return text, met


def _cut_text(pieces: list[str], most: int | None, finish: Finish, stopped_by: str | None = None) -> Choice:
    if most is not None and len(pieces) > most:
        return Choice(tuple(pieces[:most]), (), "length")
    return Choice(tuple(pieces), (), finish, stopped_by)


def _cut_calls(said: tuple[str, ...], calls: tuple[ToolCall, ...], most: int | None) -> Choice:
    if most is None or len(said) + sum(len(call.pieces) for call in calls) <= most:
        return Choice(said, calls, "tool_calls")
    said = said[:most]
    most -= len(said)
    kept: list[ToolCall] = []
    for call in calls:
        kept.append(ToolCall(call.id, call.tool, call.pieces[:most]))
        most -= len(kept[-1].pieces)
        if not most:
            break
    return Choice(said, tuple(kept), "length")


def _deltas(index: int, choice: Choice) -> Iterator[Delta]:
    kind: Literal["refusal", "text"] = "refusal" if choice.finish == "refusal" else "text"
    for piece in choice.pieces:
        yield Delta(kind, index, piece)
    for key, call in enumerate(choice.calls):
        yield Delta("call", index, call=call, key=key, tokens=0)
        for piece in call.pieces:
            yield Delta("arguments", index, piece, call=call, key=key)
