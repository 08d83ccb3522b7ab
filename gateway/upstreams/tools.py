"""Which of the tools that were asked for a route can offer, the same for every adapter.

A tool that a model or protocol does not know is left out and named where the model may choose freely: coding agents
offer many and need few. One that must be called is refused, and so is one that is all there is. A custom tool, which takes free text, becomes a function
with one text where the protocol knows functions alone; ``CustomCalls`` turns its calls back.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.events import Choice, Event, Finished, Result, ToolBegan, ToolDelta
from gateway.form import (
    CustomTool,
    Foreign,
    ForeignTool,
    Form,
    FunctionTool,
    Tool,
    ToolCall,
    ToolChoice,
    WebSearch,
)
from gateway.upstreams.base import CannotExpress

SEARCH = "web_search"
_FREE_TEXT = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)


class Offer(msgspec.Struct, frozen=True):
    """The tools that a route can offer, the choice among them, and what was left out (for ``Prepared.dropped``)."""

    tools: tuple[Tool, ...]
    choice: ToolChoice
    dropped: tuple[str, ...] = ()


def name_of(tool: Tool) -> str:
    """Return the name by which a choice names a tool; a provider's own tools are named by their kind."""
    match tool:
        case WebSearch():
            return SEARCH
        case ForeignTool(kind=kind):
            return kind
        case _:
            return tool.name


def offer(
    form: Form,
    capabilities: frozenset[str],
    *,
    protocol: str,
    has_search: bool = False,
    has_custom: bool = False,
) -> Offer:
    """Sort out what ``protocol`` and a model can serve; raises ``CannotExpress`` for a tool that must be called.

    ``has_search`` and ``has_custom`` tell what the protocol itself knows.
    """
    _refuse_unknown(form)
    tools: list[Tool] = []
    missing: list[str] = []
    for tool in form.tools:
        if isinstance(tool, WebSearch) and not (has_search and SEARCH in capabilities):
            missing.append(SEARCH)
        elif isinstance(tool, ForeignTool) and tool.origin != protocol:
            missing.append(tool.kind)
        elif isinstance(tool, CustomTool) and not has_custom:
            tools.append(as_function(tool))
        else:
            tools.append(tool)
    return Offer(
        tuple(tools),
        _choice(form.tool_choice, tools, missing),
        tuple(f"tools.{kind}" for kind in dict.fromkeys(missing)),
    )


def strange_parts(form: Form, protocol: str) -> list[str]:
    """Return the kinds of what other providers' own tools did in earlier answers, whose text tells of it anyway."""
    answers = [message for message in form.messages if message.role == "assistant"]
    parts = [part for message in answers for part in message.parts if isinstance(part, Foreign)]
    return [f"messages.{part.kind}" for part in parts if part.origin != protocol]


def _refuse_unknown(form: Form) -> None:
    """Raise ``CannotExpress`` where a tool must be called that the caller did not declare."""
    if form.tool_choice.mode != "required":
        return
    if not form.tools:
        raise CannotExpress("tool_choice", "A tool must be called, but 'tools' names none.")
    known = {name_of(tool) for tool in form.tools}
    for name in form.tool_choice.names:
        if name not in known:
            raise CannotExpress(
                "tool_choice", f"The tool '{name}' must be called, but 'tools' does not name it."
            )


def _choice(choice: ToolChoice, tools: list[Tool], missing: list[str]) -> ToolChoice:
    if not missing:
        return choice
    names = [name for name in choice.names if name not in missing]
    if choice.mode == "required" and (not tools or (choice.names and not names)):
        kind = next((name for name in choice.names if name in missing), missing[0])
        field = SEARCH if kind == SEARCH else "tools"
        raise CannotExpress(field, f"The tool '{kind}' must be called, but this model does not offer it.")
    if not tools and choice.mode != "none":
        field = SEARCH if missing[0] == SEARCH else "tools"
        raise CannotExpress(
            field, f"This model does not offer the tool '{missing[0]}', and there is no other."
        )
    if choice.names and not names:
        # What is left was not to be chosen from.
        return ToolChoice("none")
    return ToolChoice(choice.mode, names) if tools else ToolChoice()


def as_function(tool: CustomTool) -> FunctionTool:
    """Return a custom tool as a function with one text, ``input``; a grammar is told in the description."""
    description = tool.description
    if tool.format is not None:
        grammar = msgspec.json.decode(tool.format)
        # Chat completions nest a grammar one level deeper than Responses.
        grammar = grammar.get("grammar", grammar) if isinstance(grammar, dict) else None
        if isinstance(grammar, dict) and isinstance(grammar.get("definition"), str):
            syntax = grammar.get("syntax") or "grammar"
            description += f"\n\nThe input must match this grammar ({syntax}):\n{grammar['definition']}"
    return FunctionTool(tool.name, description.strip(), _FREE_TEXT, namespace=tool.namespace)


def wrapped(call: ToolCall) -> str:
    """Return a call's arguments as those of a function, also for a custom tool."""
    return msgspec.json.encode({"input": call.arguments}).decode() if call.is_custom else call.arguments


def unwrapped(arguments: str) -> str:
    """Return the free text of a custom tool that was called as a function."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    if isinstance(value, dict) and isinstance(value.get("input"), str):
        return str(value["input"])
    return arguments


class CustomCalls:
    """Turns calls of functions that stand for custom tools back into calls of these."""

    __slots__ = ("_arguments", "_names")

    def __init__(self, form: Form) -> None:
        self._names = frozenset(tool.name for tool in form.tools if isinstance(tool, CustomTool))
        # By choice and key, for the calls that are not complete.
        self._arguments: dict[tuple[int, int], list[str]] = {}

    def events(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return a stream's events; a custom tool's input comes at once when it is complete."""
        if not self._names:
            return events
        out: list[Event] = []
        for event in events:
            self._take(event, out)
        return out

    def _take(self, event: Event, out: list[Event]) -> None:
        if isinstance(event, ToolBegan) and event.name in self._names and not event.is_custom:
            self._arguments[event.choice, event.key] = []
            out.append(msgspec.structs.replace(event, is_custom=True))
        elif isinstance(event, ToolDelta) and (event.choice, event.key) in self._arguments:
            self._arguments[event.choice, event.key].append(event.arguments)
        elif isinstance(event, Finished):
            for choice, key in [place for place in self._arguments if place[0] == event.choice]:
                text = "".join(self._arguments.pop((choice, key)))
                out.append(ToolDelta(key, unwrapped(text), choice))
            out.append(event)
        else:
            out.append(event)

    def result(self, result: Result) -> Result:
        """Return a whole answer."""
        if not self._names:
            return result
        return msgspec.structs.replace(result, choices=[self._choice(choice) for choice in result.choices])

    def _choice(self, choice: Choice) -> Choice:
        parts = [
            msgspec.structs.replace(part, is_custom=True, arguments=unwrapped(part.arguments))
            if isinstance(part, ToolCall) and part.name in self._names and not part.is_custom
            else part
            for part in choice.parts
        ]
        return msgspec.structs.replace(choice, parts=parts)
