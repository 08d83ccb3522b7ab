"""DeepSeek's thinking mode, in the words of its guide."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway import form as f
from gateway.formats.chat import Chat
from gateway.passages.native_chat import NativeChat
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_chat import OpenAIChat
from tests.gateway.attempts import ask, attempt, channel
from tests.gateway.upstreams.recordings import needed, recorded

HELLO = f.Message("user", [f.Text("hi")])
LOOK = f.FunctionTool("look")


def sent(form: f.Form) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(OpenAIChat().prepare(form, attempt(channel=channel("deepseek"))).body)
    return body


@pytest.mark.parametrize(
    ("reasoning", "fields"),
    [
        (f.Reasoning(), {}),
        (f.Reasoning(is_enabled=True), {"thinking": {"type": "enabled"}}),
        (f.Reasoning(is_enabled=False), {"thinking": {"type": "disabled"}}),
        (f.Reasoning("none"), {"thinking": {"type": "disabled"}}),
        (f.Reasoning("minimal"), {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
        (f.Reasoning("medium"), {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        (f.Reasoning("xhigh"), {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        (f.Reasoning("max"), {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        (f.Reasoning(budget_tokens=2_000), {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
    ],
)
def test_effort_and_switch_are_told_in_its_words(reasoning: f.Reasoning, fields: dict[str, Any]) -> None:
    body = sent(f.Form([HELLO], reasoning=reasoning))

    assert {key: body[key] for key in ("thinking", "reasoning_effort") if key in body} == fields


def test_a_turn_that_called_tools_always_has_thoughts() -> None:
    call = f.ToolCall("a", "look", "{}")
    form = f.Form(
        [HELLO, f.Message("assistant", [call]), f.Message("assistant", [f.Thinking("hm"), f.Text("x")])]
    )

    messages = sent(form)["messages"]

    assert [each.get("reasoning_content") for each in messages[1:]] == [" ", "hm"]


def test_a_tool_can_be_forced_because_thinking_is_off_then() -> None:
    form = f.Form([HELLO], tools=[LOOK], tool_choice=f.ToolChoice("required", ["look"]))

    assert sent(form)["thinking"] == {"type": "disabled"}
    assert "thinking" not in sent(f.Form([HELLO], tools=[LOOK]))
    with pytest.raises(CannotExpress) as caught:
        sent(
            f.Form([HELLO], tools=[LOOK], tool_choice=f.ToolChoice("required"), reasoning=f.Reasoning("high"))
        )
    assert caught.value.field == "tool_choice"


def test_several_texts_of_one_message_become_one() -> None:
    assert (
        sent(f.Form([f.Message("system", [f.Text("a"), f.Text("b")])]))["messages"][0]["content"] == "a\n\nb"
    )


def test_blank_lines_before_an_answer_are_waited_through() -> None:
    answer = {"id": "c", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}

    result = OpenAIChat().answer(b"\n\n \n" + json.dumps(answer).encode(), f.Form([]))

    assert result.choices[0].parts == [f.Text("hi")]


@needed
@pytest.mark.parametrize("recording", recorded("deepseek/test-deepseek-*thinking*.json"))
def test_a_recorded_request_arrives_as_it_was_sent(recording: Any) -> None:
    said = recording["request"]
    asked = ask(Chat(), said)

    body = json.loads(
        NativeChat().prepare(attempt(asked, channel=channel("deepseek"), upstream_model=said["model"])).body
    )

    # "auto" and one choice are what is meant where nothing is said; a call without thoughts gets a blank.
    meant = {key: value for key, value in said.items() if key not in {"tool_choice", "n", "stream"}}
    meant["messages"] = [_turn(message) for message in said["messages"]]
    assert body == meant


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    blank = {"reasoning_content": message.get("reasoning_content") or " "} if "tool_calls" in message else {}
    return {"content": None} | message | blank


def test_a_schema_is_refused_by_name_because_it_has_no_word_for_one() -> None:
    schema = msgspec.Raw(b'{"type":"object"}')
    asked = f.Form([HELLO], response_format=f.ResponseFormat("json_schema", "a", schema))

    with pytest.raises(CannotExpress) as refusal:
        sent(asked)

    assert refusal.value.field == "response_format"
    assert sent(f.Form([HELLO], response_format=f.ResponseFormat("json_object")))["response_format"] == {
        "type": "json_object"
    }
