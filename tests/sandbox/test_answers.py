"""What the sandbox answers when nothing is ordered to go wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

from tests.live.sandbox import LiveSandbox

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 3, "maximum": 5},
                "unit": {"enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "days", "unit"],
        },
    },
}
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "get_time"}}


def ask(client: OpenAI, prompt: str, **options: Any) -> Any:
    return client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": prompt}], **options
    )


def test_the_same_question_gets_the_same_answer_and_another_question_another_one(client: OpenAI) -> None:
    first, again = ask(client, "Explain ledgers."), ask(client, "Explain ledgers.")
    other = ask(client, "Explain anchors.")

    assert first.choices[0].message.content == again.choices[0].message.content
    assert first.choices[0].message.content != other.choices[0].message.content
    assert "ledgers" in first.choices[0].message.content.lower()
    assert first.id != again.id


def test_a_stream_carries_the_text_of_the_whole_answer_one_token_a_chunk(client: OpenAI) -> None:
    whole = ask(client, "Explain ledgers.")
    chunks = list(ask(client, "Explain ledgers.", stream=True, stream_options={"include_usage": True}))

    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert texts[0] == ""
    assert "".join(text or "" for text in texts) == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    # The opening, the end and the usage carry no token.
    assert chunks[-1].usage.completion_tokens == len(chunks) - 3
    assert len({chunk.id for chunk in chunks}) == 1


def test_usage_is_sent_in_a_stream_only_when_asked_for(sandbox: LiveSandbox) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello there"}]}

    text = sandbox.http.post("/v1/chat/completions", json=body).text

    assert '"usage"' not in text
    assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("bound", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_the_callers_bound(client: OpenAI, bound: str) -> None:
    reply = ask(client, "[[sandbox tokens=50]] Explain ledgers.", **{bound: 7})

    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 7


def test_an_answer_that_ignores_the_bound_can_be_ordered(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox tokens=50 ignore_max=1]] Explain ledgers.", max_tokens=7)

    assert reply.usage.completion_tokens == 50


def test_an_answer_ends_before_a_stop_sequence(client: OpenAI) -> None:
    reply = ask(client, '[[sandbox text="one two three four"]]', stop=["three", "four"])

    assert reply.choices[0].message.content == "one two "
    assert reply.choices[0].finish_reason == "stop"


def test_n_answers_differ_and_are_all_counted(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox tokens=9]] Explain ledgers.", n=2)
    chunks = list(ask(client, "[[sandbox tokens=9]] Explain ledgers.", n=2, stream=True))

    assert reply.choices[0].message.content != reply.choices[1].message.content
    assert reply.usage.completion_tokens == 18
    for choice in reply.choices:
        mine = [c.choices[0].delta.content or "" for c in chunks if c.choices[0].index == choice.index]
        assert "".join(mine) == choice.message.content


def test_prompt_tokens_follow_the_documented_rule(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Grüße"}]},
        ],
    )

    assert reply.usage is not None
    assert reply.usage.prompt_tokens == (4 + math.ceil(9 / 4)) + (4 + math.ceil(7 / 4))
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_long_prompt_seen_before_is_counted_as_cached(client: OpenAI) -> None:
    long_text = "ledger " * 1000

    first = ask(client, long_text + "one").usage.prompt_tokens_details.cached_tokens
    again = ask(client, long_text + "two").usage.prompt_tokens_details.cached_tokens
    short = ask(client, "ledger").usage.prompt_tokens_details.cached_tokens

    assert first == 0
    assert 1024 <= again <= 1752
    assert again % 128 == 0
    assert short == 0


def test_reasoning_is_counted_as_output(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox tokens=5]] Think.", reasoning_effort="low")

    assert reply.usage.completion_tokens_details.reasoning_tokens == 16
    assert reply.usage.completion_tokens == 21


def test_a_tool_is_called_with_arguments_its_schema_allows(client: OpenAI) -> None:
    reply = ask(client, "What is the weather in Paris?", tools=[WEATHER])

    (call,) = reply.choices[0].message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.choices[0].message.content is None
    assert call.function.name == "get_weather"
    assert arguments["city"] == "Paris"
    assert 3 <= arguments["days"] <= 5
    assert arguments["unit"] in {"celsius", "fahrenheit"}


def test_streamed_tool_calls_arrive_in_pieces_with_their_index(client: OpenAI) -> None:
    prompt = "Use get_weather and get_time for Paris."
    chunks = list(ask(client, prompt, tools=[WEATHER, CLOCK], stream=True))

    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    names = {piece.index: piece.function.name for piece in pieces if piece.id}
    first = "".join(piece.function.arguments for piece in pieces if piece.index == 0)
    assert names == {0: "get_weather", 1: "get_time"}
    assert json.loads(first)["city"] == "Paris"
    assert len(pieces) > 6
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_answer_of_a_tool_leads_to_text(client: OpenAI) -> None:
    call = ask(client, "Weather in Paris?", tools=[WEATHER]).choices[0].message
    reply = client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "user", "content": "Weather in Paris?"},
            call.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "21 degrees"},
        ],
        tools=[WEATHER],  # type: ignore[list-item]
    )

    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].message.content


def test_tool_choice_decides_which_tool_is_called_or_none(client: OpenAI) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}

    chosen = ask(client, "Weather?", tools=[WEATHER, CLOCK], tool_choice=named)
    none = ask(client, "Weather?", tools=[WEATHER, CLOCK], tool_choice="none")

    assert chosen.choices[0].message.tool_calls[0].function.name == "get_time"
    assert none.choices[0].message.tool_calls is None


class Person(BaseModel):
    name: str
    age: int
    parent: Person | None
    tags: list[str]


def test_a_structured_answer_is_valid_under_its_schema_even_a_recursive_one(client: OpenAI) -> None:
    reply = client.chat.completions.parse(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Describe Ada"}],
        response_format=Person,
    )

    person = reply.choices[0].message.parsed
    assert person is not None
    assert person.tags
    assert person.parent is not None


def test_json_mode_answers_an_object(client: OpenAI) -> None:
    reply = ask(client, "JSON about ledgers", response_format={"type": "json_object"})

    assert set(json.loads(reply.choices[0].message.content)) == {"topic", "answer"}


def test_the_eight_models_are_listed(client: OpenAI) -> None:
    assert "gemini-3.0-pro" in {model.id for model in client.models.list()}
    assert len(client.models.list().data) == 8


def test_logprobs_come_for_each_token_when_asked_for(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox tokens=3]] Hm?", logprobs=True, top_logprobs=2)
    chunks = list(ask(client, "[[sandbox tokens=3]] Hm?", logprobs=True, top_logprobs=2, stream=True))

    whole = reply.choices[0].logprobs.content
    streamed = [one for chunk in chunks if (found := chunk.choices[0].logprobs) for one in found.content]
    assert [each.to_dict() for each in streamed] == [each.to_dict() for each in whole]
    assert "".join(each.token for each in whole) == reply.choices[0].message.content
    assert all(len(each.top_logprobs) == 2 for each in whole)


def test_a_refusal_and_a_filter_have_places_of_their_own(client: OpenAI) -> None:
    refused = ask(client, "[[sandbox refuse='No.']] Hm?").choices[0]
    filtered = ask(client, "[[sandbox filtered tokens=3]] Hm?").choices[0]
    chunks = list(ask(client, "[[sandbox refuse='No.']] Hm?", stream=True))

    assert (refused.message.refusal, refused.message.content) == ("No.", None)
    assert filtered.finish_reason == "content_filter"
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == "No."


def test_a_blocked_prompt_is_a_400(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(client, "[[sandbox blocked]] Hm?")

    assert caught.value.code == "content_policy_violation"


def test_a_search_is_cited(client: OpenAI) -> None:
    message = ask(client, "Ledgers?", web_search_options={}).choices[0].message

    assert message.annotations[0].url_citation.end_index == len(message.content)


def test_what_other_servers_do_wrong_can_be_ordered(client: OpenAI) -> None:
    order = "[[sandbox call=get_time no_index finish=stop]] Time?"
    chunks = list(ask(client, order, tools=[CLOCK], stream=True))

    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    assert pieces
    assert all(piece.index is None for piece in pieces)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_json_can_be_ordered_without_a_format(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox json]] Time?", tools=[CLOCK])

    assert json.loads(reply.choices[0].message.content)


def test_calls_and_their_results_must_stand_together(client: OpenAI) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "noon"}
    asked = {"role": "user", "content": "Time?"}

    histories: list[list[Any]] = [[asked, called], [asked, result], [asked, called, asked, result]]
    for broken in histories:
        with pytest.raises(BadRequestError, match="tool_call"):
            client.chat.completions.create(model="m", messages=broken)
