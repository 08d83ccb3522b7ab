"""Which tools a route can offer: what is left out is named, what must be called is refused, free text survives."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from gateway import form as f
from gateway.events import Choice, Event, Finished, Result, TextDelta, ToolBegan, ToolDelta
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.tools import CustomCalls, as_function, offer, unwrapped, wrapped

LOOK = f.FunctionTool("look")
PATCH = f.CustomTool("patch", "Patches.", Raw(b'{"type":"grammar","syntax":"lark","definition":"start: x"}'))
SHELL = f.ForeignTool("responses", "local_shell", Raw(b"{}"))
ALL: list[f.Tool] = [LOOK, f.WebSearch(), SHELL, PATCH]
SEARCHES = frozenset({"web_search"})


def form(*names: str, mode: str = "auto", tools: list[f.Tool] | None = None) -> f.Form:
    choice = f.ToolChoice(mode, list(names))  # type: ignore[arg-type]
    return f.Form([], tools=ALL if tools is None else tools, tool_choice=choice)


def test_what_a_protocol_and_model_know_is_offered_as_it_is() -> None:
    made = offer(form("look"), SEARCHES, protocol="responses", has_search=True, has_custom=True)

    assert made.tools == tuple(ALL)
    assert made.choice == f.ToolChoice("auto", ["look"])
    assert made.dropped == ()


@pytest.mark.parametrize(
    ("capabilities", "has_search", "is_offered"),
    [(SEARCHES, True, True), (SEARCHES, False, False), (frozenset[str](), True, False)],
)
def test_a_search_needs_model_and_protocol(
    capabilities: frozenset[str], *, has_search: bool, is_offered: bool
) -> None:
    made = offer(form(), capabilities, protocol="chat", has_search=has_search)

    assert (f.WebSearch() in made.tools) is is_offered
    assert ("tools.web_search" in made.dropped) is not is_offered


def test_what_is_left_out_is_named_once_and_leaves_the_choice() -> None:
    made = offer(form("look", "web_search"), frozenset(), protocol="chat")
    twice = offer(form(tools=[LOOK, SHELL, SHELL]), frozenset(), protocol="chat")

    assert made.dropped == ("tools.web_search", "tools.local_shell")
    assert made.choice == f.ToolChoice("auto", ["look"])
    assert twice.dropped == ("tools.local_shell",)


def test_a_choice_of_nothing_that_is_left_is_no_choice_of_the_rest() -> None:
    assert offer(form("web_search"), frozenset(), protocol="chat").choice.mode == "none"
    unused = offer(form(mode="none", tools=[SHELL]), frozenset(), protocol="chat")
    assert (unused.tools, unused.dropped) == ((), ("tools.local_shell",))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (form("web_search", mode="required"), "web_search"),
        (form("local_shell", mode="required"), "tools"),
        (form(mode="required", tools=[SHELL]), "tools"),
        (form(tools=[SHELL]), "tools"),
        (form(tools=[f.WebSearch()]), "web_search"),
    ],
)
def test_what_must_be_called_or_is_all_there_is_and_cannot_be_offered_is_refused(
    asked: f.Form, field: str
) -> None:
    with pytest.raises(CannotExpress) as refused:
        offer(asked, frozenset(), protocol="chat")

    assert refused.value.field == field


def test_free_text_becomes_the_one_parameter_of_a_function() -> None:
    made = as_function(PATCH)

    assert made.parameters is not None
    assert json.loads(bytes(made.parameters))["required"] == ["input"]
    assert "Patches." in made.description
    assert "start: x" in made.description
    assert unwrapped(wrapped(f.ToolCall("c1", "patch", 'a "b"', is_custom=True))) == 'a "b"'
    assert wrapped(f.ToolCall("c1", "look", "{}")) == "{}"


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '{"input":7}', "plain"])
def test_arguments_that_are_no_wrapping_stay_as_they_are(arguments: str) -> None:
    assert unwrapped(arguments) == arguments


def test_calls_of_such_functions_become_calls_of_the_tool_again() -> None:
    customs = CustomCalls(form())
    pieces: list[list[Event]] = [
        [ToolBegan(0, "c0", "patch"), ToolBegan(1, "c1", "look"), ToolDelta(0, '{"inp')],
        [ToolDelta(1, "{}"), ToolDelta(0, 'ut":"x"}'), TextDelta("t")],
        [Finished("tool_calls", choice=1)],
        [Finished("tool_calls")],
    ]

    out = [event for events in pieces for event in customs.events(events)]

    assert out == [
        ToolBegan(0, "c0", "patch", is_custom=True),
        ToolBegan(1, "c1", "look"),
        ToolDelta(1, "{}"),
        TextDelta("t"),
        Finished("tool_calls", choice=1),
        ToolDelta(0, "x"),
        Finished("tool_calls"),
    ]


def test_calls_that_a_protocol_made_itself_are_left_alone() -> None:
    customs = CustomCalls(form())
    events: list[Event] = [ToolBegan(0, "c0", "patch", is_custom=True), ToolDelta(0, '{"input":"x"}')]
    called = f.ToolCall("c0", "patch", '{"input":"x"}')
    native = f.ToolCall("c0", "patch", '{"input":"x"}', is_custom=True)
    result = Result([Choice([called, native], "tool_calls")], None)

    assert customs.events(events) == events
    assert customs.result(result).choices[0].parts == [
        f.ToolCall("c0", "patch", "x", is_custom=True),
        native,
    ]


@pytest.mark.parametrize("tools", [[], [LOOK]])
def test_a_tool_that_nobody_declared_cannot_be_demanded(tools: list[f.Tool]) -> None:
    with pytest.raises(CannotExpress) as caught:
        offer(form("leap", mode="required", tools=tools), frozenset(), protocol="chat")

    assert caught.value.field == "tool_choice"
