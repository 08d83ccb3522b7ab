"""The cost stands in the usage of an answer, exactly, and nowhere else."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gateway.told_cost import in_answer, in_ending

# Names that could be taken for a usage or a cost, among others.
names = st.sampled_from(["usage", '"usage":', 'x"usage', "cost", "cost_nano_usd", "a", "response"]) | st.text(
    max_size=5
)
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
costs = st.integers(0, 10**15)


def _read(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


@given(
    st.dictionaries(names, values, max_size=3),
    st.dictionaries(st.sampled_from(["prompt_tokens", "cost", "cost_details", "details"]), values),
    costs,
    st.sampled_from([{}, {"indent": 2}, {"ensure_ascii": False}]),
)
def test_a_whole_answer_tells_its_cost_and_nothing_else_changes(
    rest: dict[str, Any], usage: dict[str, Any], cost_nano: int, style: dict[str, Any]
) -> None:
    answer = {**rest, "usage": usage}
    shown = _read(in_answer(json.dumps(answer, **style).encode(), cost_nano))

    told = shown.pop("usage")
    assert told.pop("cost_nano_usd") == cost_nano
    assert told.pop("cost") * 10**9 == cost_nano
    assert told == {name: value for name, value in usage.items() if not name.startswith("cost")}
    assert shown == {name: value for name, value in rest.items() if name != "usage"}


@given(st.dictionaries(names.filter(lambda name: name != "usage"), st.text(), max_size=3), costs)
def test_an_answer_without_a_usage_stays_as_it_is(answer: dict[str, Any], cost_nano: int) -> None:
    shown = _read(in_answer(json.dumps(answer).encode(), cost_nano))

    assert shown == answer
    assert _read(in_answer(json.dumps({**answer, "usage": None}).encode(), cost_nano)) == answer | {
        "usage": None
    }


@pytest.mark.parametrize(
    ("cost_nano", "written"),
    [(0, "0.000000000"), (1, "0.000000001"), (12_340, "0.000012340"), (2 * 10**9 + 1, "2.000000001")],
)
def test_a_cost_is_a_number_with_a_point_and_all_nine_places(cost_nano: int, written: str) -> None:
    body = in_answer(b'{"usage":{"prompt_tokens":1}}', cost_nano)

    assert body == b'{"usage":{"cost":%b,"cost_nano_usd":%d,"prompt_tokens":1}}' % (
        written.encode(),
        cost_nano,
    )
    assert isinstance(json.loads(body)["usage"]["cost"], float)


def test_the_last_usage_of_a_stream_tells_the_cost() -> None:
    ending = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n'

    assert in_ending(ending, 5) == (
        b'data: {"choices":[],"usage":{"cost":0.000000005,"cost_nano_usd":5,"prompt_tokens":1}}\n\n'
        b"data: [DONE]\n\n"
    )


def test_a_response_that_echoes_a_tool_with_such_a_field_tells_the_cost_in_its_own_usage() -> None:
    schema = {"properties": {"usage": {"type": "object"}, "cost": {"type": "number"}}}
    response = {"id": "resp_1", "usage": {"input_tokens": 3}, "tools": [{"parameters": schema}]}
    event = json.dumps({"type": "response.completed", "response": response}).encode()

    before, data = in_ending(b"event: response.completed\ndata: " + event + b"\n\n", 7).split(b"data: ")

    assert before == b"event: response.completed\n"
    shown = json.loads(data)["response"]
    assert shown["usage"] == {"input_tokens": 3, "cost": 0.000000007, "cost_nano_usd": 7}
    assert shown["tools"] == response["tools"]
