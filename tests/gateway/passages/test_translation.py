"""What the way through the internal form counts and notices, whatever protocol is behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.events import Event, Finished, Result, Searched, TextDelta, ThinkingSealed
from gateway.form import Form
from gateway.formats.base import Format
from gateway.formats.chat import Chat
from gateway.formats.messages import Messages
from gateway.formats.responses import Responses
from gateway.passages.table import passage_for
from gateway.passages.translation import TranslatedStream, Translation
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.openai_chat import OpenAIChat
from tests.gateway.attempts import ask, attempt, channel, model

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
SEARCH = {"type": "web_search"}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
CLAUDE_SEARCH = {"type": "web_search_20250305", "name": "web_search"}


class _Told(OpenAIChat):
    """An adapter whose upstream says just these events."""

    def __init__(self, *events: Event) -> None:
        self._events = list(events)

    def answer(self, body: bytes, form: Form) -> Result:
        return Result([], None)

    def reader(self, form: Form) -> Any:
        return self

    def feed(self, event: bytes) -> list[Event]:
        return self._events


def stream(*events: Event, **fields: Any) -> TranslatedStream:
    passage = Translation(Chat(), _Told(*events))
    started = passage.stream(attempt(ask(Chat(), HELLO | {"stream": True} | fields)))
    started.feed(b"{}")
    return started


@pytest.mark.parametrize("event", [Searched("ws_1"), ThinkingSealed("seal", "anthropic")])
def test_what_is_not_shown_is_output_all_the_same(event: Event) -> None:
    assert stream(event).has_output
    assert stream(event).output_tokens == 1


def test_a_stream_ends_with_the_last_of_its_choices() -> None:
    first = stream(TextDelta("a"), TextDelta("b", 1), Finished("stop"), n=2)
    both = stream(TextDelta("a"), TextDelta("b", 1), Finished("stop"), Finished("length", 1), n=2)

    assert (first.finish_reason, both.finish_reason) == ("", "length")


def test_an_answer_without_a_choice_is_none() -> None:
    with pytest.raises(BadAnswer):
        Translation(Chat(), _Told()).answer(json.dumps({}).encode(), attempt(ask(Chat(), HELLO)))


@pytest.mark.parametrize(
    ("format_", "fields"),
    [
        (Chat(), HELLO | {"web_search_options": {}}),
        (Responses(), {"model": "gpt-4o", "input": "hi", "tools": [SEARCH]}),
        (Messages(), HELLO | {"max_tokens": 50, "tools": [CLAUDE_SEARCH]}),
    ],
)
@pytest.mark.parametrize("adapter", ["bedrock", "deepseek"])
def test_an_answer_that_depends_on_a_search_is_not_given_without(
    format_: Format, fields: dict[str, Any], adapter: str
) -> None:
    one = attempt(ask(format_, fields), channel=channel("some", adapter), model=model())

    with pytest.raises(CannotExpress) as refused:
        passage_for(format_, one.route, one.model).prepare(one)

    assert refused.value.field == "web_search"


def test_a_search_that_is_offered_in_passing_is_left_out_by_name() -> None:
    asked = ask(Responses(), {"model": "gpt-4o", "input": "hi", "tools": [SEARCH, LOOK]})
    one = attempt(asked, channel=channel("some", "bedrock"))

    prepared = passage_for(Responses(), one.route, one.model).prepare(one)

    assert prepared.dropped == ("tools.web_search",)
