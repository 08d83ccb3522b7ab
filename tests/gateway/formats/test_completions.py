"""The retired completions endpoint speaks as it always did, over models that only chat."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types import Completion
from pydantic import TypeAdapter

from catalog.pricing import Usage
from gateway.errors import InvalidRequest, UpstreamError
from gateway.events import Choice, Event, Finished, RefusalDelta, Result, TextDelta, ThinkingDelta
from gateway.form import Message, Text, Thinking
from gateway.formats.completions import Completions
from tests.gateway.attempts import ask, attempt

FORMAT = Completions()
STRICT = TypeAdapter(Completion)
USAGE = Usage(3, 0, 0, 2, 0)
ASKED = {"model": "gpt-4o", "prompt": "Once"}


def logprobs(*tokens: str) -> msgspec.Raw:
    shown = [
        {"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "x", "logprob": -2.0}]}
        for token in tokens
    ]
    return msgspec.Raw(msgspec.json.encode(shown))


def rendered(result: Result, **fields: Any) -> Completion:
    asked = ask(FORMAT, ASKED | fields)
    return STRICT.validate_json(FORMAT.render(result, USAGE, attempt(asked)), strict=True)


def streamed(*events: Event, **fields: Any) -> list[Completion]:
    writer = FORMAT.writer(attempt(ask(FORMAT, ASKED | {"stream": True} | fields)))
    raw = writer.write(events) + writer.closing(USAGE)
    *chunks, done, end = raw.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    return [checked(json.loads(each.removeprefix(b"data: "))) for each in chunks]


def checked(chunk: dict[str, Any]) -> Completion:
    # The type knows no open end, though OpenAI's own streams send null until the last chunk of a choice.
    for choice in chunk["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return STRICT.validate_python(chunk, strict=True)


def test_a_prompt_becomes_the_users_message_and_the_rest_keeps_its_meaning() -> None:
    fields = {
        "max_tokens": 9, "n": 2, "temperature": 0.5, "stop": "end", "seed": 7, "logprobs": 3, "user": "u",
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "top_p": 0.9, "logit_bias": {"5": 1}, "best_of": 2,
    }  # fmt: skip

    form = ask(FORMAT, ASKED | fields).form()

    assert form.messages == [Message("user", [Text("Once")])]
    assert (form.max_output, form.choices, form.temperature, form.stop, form.seed) == (9, 2, 0.5, ["end"], 7)
    assert (form.logprobs, form.top_logprobs, form.user, form.top_p) == (True, 3, "u", 0.9)
    assert (form.frequency_penalty, form.presence_penalty, form.logit_bias) == (0.1, 0.2, {"5": 1.0})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"logprobs": 6}, "logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": []}, "messages"),
    ],
    ids=json.dumps,
)
def test_what_is_not_offered_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(FORMAT, ASKED | fields)

    assert caught.value.param == param


def test_one_prompt_in_a_list_is_one_prompt() -> None:
    assert ask(FORMAT, ASKED | {"prompt": ["Once"]}).form().messages == [Message("user", [Text("Once")])]


def test_a_whole_answer_has_the_shape_of_old() -> None:
    choice = Choice([Thinking("hm"), Text(" upon")], "length", logprobs=logprobs(" u", "pon"))

    completion = rendered(Result([choice], USAGE, created=5), logprobs=1)

    (shown,) = completion.choices
    assert (shown.text, shown.finish_reason, completion.created) == (" upon", "length", 5)
    assert shown.logprobs is not None
    assert (shown.logprobs.tokens, shown.logprobs.text_offset) == ([" u", "pon"], [0, 2])
    assert (shown.logprobs.token_logprobs, shown.logprobs.top_logprobs) == ([-0.5, -0.5], [{"x": -2.0}] * 2)
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5
    assert completion.id == "cmpl-test"


def test_an_echo_stands_before_each_answer() -> None:
    result = Result([Choice([Text(" a")], "stop"), Choice([Text(" b")], "stop")], USAGE)

    assert [each.text for each in rendered(result, echo=True, n=2).choices] == ["Once a", "Once b"]


def test_a_stream_says_the_same_in_pieces() -> None:
    chunks = streamed(
        ThinkingDelta("hm"),
        TextDelta(" up", 0, logprobs(" up")),
        TextDelta("on", 0, logprobs("on")),
        RefusalDelta("no", 1),
        Finished("tool_calls", 0),
        Finished("stop", 1),
        echo=False,
        n=2,
        stream_options={"include_usage": True},
    )

    choices = [chunk.choices[0] for chunk in chunks[:-1]]
    assert [(each.index, each.text) for each in choices] == [
        (0, " up"),
        (0, "on"),
        (1, "no"),
        (0, ""),
        (1, ""),
    ]
    offsets = [each.logprobs.text_offset for each in choices if each.logprobs is not None]
    assert offsets == [[0], [3]]
    assert [json.loads(chunk.to_json())["choices"][0]["finish_reason"] for chunk in chunks[3:5]] == [
        "stop",
        "stop",
    ]
    assert (chunks[-1].choices, chunks[-1].usage and chunks[-1].usage.prompt_tokens) == ([], 3)


def test_a_stream_echoes_once() -> None:
    chunks = streamed(TextDelta(" a"), TextDelta(" b"), echo=True)

    assert [chunk.choices[0].text for chunk in chunks] == ["Once a", " b"]


def test_a_stream_that_must_stop_ends_for_its_length_and_a_broken_one_with_an_error() -> None:
    writer = FORMAT.writer(attempt(ask(FORMAT, ASKED | {"stream": True, "n": 2})))
    writer.write([TextDelta("a"), Finished("stop", 0)])

    cut, failure = writer.cut(USAGE), writer.failure(UpstreamError("It broke."))

    last = json.loads(cut.split(b"\n\n")[0].removeprefix(b"data: "))
    assert [(each["index"], each["finish_reason"]) for each in last["choices"]] == [(1, "length")]
    assert cut.endswith(b"data: [DONE]\n\n")
    assert b'"error":{"message":"It broke."' in failure
    assert b"[DONE]" not in failure
