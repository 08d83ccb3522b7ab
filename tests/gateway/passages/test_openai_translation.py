"""OpenAI's own server speaks two protocols: clients of others get the one that can say what they ask."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.asked import Attempt
from gateway.formats.base import Format
from gateway.formats.completions import Completions
from gateway.formats.messages import Messages
from gateway.passages.base import Passage
from gateway.passages.table import passage_for
from gateway.upstreams.base import CannotExpress
from tests.gateway.attempts import ask, attempt, channel, model

MESSAGE = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
PROMPT = {"model": "gpt-4o", "prompt": "hi", "max_tokens": 50}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def way(format_: Format, body: dict[str, Any], *traits: str) -> tuple[Passage, Attempt]:
    one = attempt(
        ask(format_, body),
        channel=channel("openai", "openai_responses"),
        model=model(traits=frozenset(traits)),
    )
    return passage_for(format_, one.route, one.model), one


@pytest.mark.parametrize(
    ("format_", "usual", "said", "sent"),
    [
        (Messages(), MESSAGE, {"stop_sequences": ["END"]}, {"stop": ["END"]}),
        (Completions(), PROMPT, {"stop": "END"}, {"stop": ["END"]}),
        (Completions(), PROMPT, {"n": 2}, {"n": 2}),
        (Completions(), PROMPT, {"seed": 7}, {"seed": 7}),
        (Completions(), PROMPT, {"frequency_penalty": 0.5}, {"frequency_penalty": 0.5}),
        (Completions(), PROMPT, {"presence_penalty": 0.5}, {"presence_penalty": 0.5}),
        (Completions(), PROMPT, {"logit_bias": {"5": 1}}, {"logit_bias": {"5": 1}}),
    ],
)
def test_what_responses_cannot_say_goes_by_chat(
    format_: Format, usual: dict[str, Any], said: dict[str, Any], sent: dict[str, Any]
) -> None:
    passage, one = way(format_, usual | said)
    prepared = passage.prepare(one)

    assert prepared.target == "/chat/completions"
    assert not prepared.dropped
    assert json.loads(prepared.body).items() >= (sent | {"max_completion_tokens": 50}).items()


@pytest.mark.parametrize(("format_", "usual"), [(Messages(), MESSAGE), (Completions(), PROMPT)])
def test_everything_else_goes_by_responses(format_: Format, usual: dict[str, Any]) -> None:
    passage, one = way(format_, usual)

    assert passage.prepare(one).target == "/responses"


@pytest.mark.parametrize(("thinks", "target"), [(False, "/chat/completions"), (True, "/responses")])
def test_a_brief_answer_goes_by_chat_unless_its_model_thinks(*, thinks: bool, target: str) -> None:
    able = {"streaming", "reasoning"} if thinks else {"streaming"}
    one = attempt(
        ask(Messages(), MESSAGE | {"max_tokens": 5}),
        channel=channel("openai", "openai_responses"),
        model=model(capabilities=frozenset(able)),
    )

    prepared = passage_for(Messages(), one.route, one.model).prepare(one)

    assert prepared.target == target
    assert json.loads(prepared.body).items() >= ({} if thinks else {"max_completion_tokens": 5}).items()


def test_an_answer_is_read_by_the_protocol_that_was_asked() -> None:
    passage, one = way(Messages(), MESSAGE | {"stop_sequences": ["END"]})
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    counted = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}

    answer = passage.answer(json.dumps({"id": "c", "choices": [choice], "usage": counted}).encode(), one)
    stream = passage.stream(one)

    assert json.loads(answer.body)["content"] == [{"type": "text", "text": "Hello"}]
    assert b"text_delta" in stream.feed(json.dumps(chunk).encode())


@pytest.mark.parametrize(("tools", "traits"), [([], ["responses_only"]), ([SEARCH], [])])
def test_what_neither_protocol_can_say_is_refused_by_name(
    tools: list[dict[str, Any]], traits: list[str]
) -> None:
    passage, one = way(Messages(), MESSAGE | {"stop_sequences": ["END"], "tools": tools}, *traits)

    with pytest.raises(CannotExpress) as caught:
        passage.prepare(one)

    assert caught.value.field == "stop"
