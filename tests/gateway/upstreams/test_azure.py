"""Azure OpenAI: its header, and what its content filters add to answers and streams."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from catalog.pricing import Usage
from gateway.formats.base import Format
from gateway.formats.chat import Chat
from gateway.formats.responses import Responses
from gateway.passages.azure_chat import AzureNativeChat
from gateway.passages.native_responses import NativeResponses
from gateway.passages.table import passage_for
from gateway.passages.translation import Translation
from gateway.upstreams.azure import AzureChat, AzureSplitter, without_filters
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.openai_responses import OpenAIResponses
from tests.gateway.attempts import ask, attempt, channel, model

HI = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
AT = channel("azure", "azure", base_url="https://mine.openai.azure.com/openai/v1", api_key="azure-key")
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-4o-2024"}
BLANK = {"id": "", "object": "", "created": 0, "model": ""}


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": SAFE} | fields]}


STREAM = [
    BLANK | {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]},
    HEAD | choice(delta={"role": "assistant", "content": ""}),
    HEAD | choice(delta={"content": "Hi"}) | {"usage": None},
    BLANK | choice(content_filter_offsets={"check_offset": 5}) | {"usage": None},
    BLANK | choice(content_filter_offsets={"check_offset": 9}, finish_reason="content_filter"),
    HEAD | {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}},
]
RAW = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in STREAM) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("passage", [AzureNativeChat(), Translation(Chat(), AzureChat())])
def test_a_filtered_stream_reaches_a_chat_client_as_openais(passage: AzureNativeChat | Translation) -> None:
    stream, splitter = (
        passage.stream(attempt(ask(Chat(), HI | {"stream": True}), channel=AT)),
        passage.splitter(),
    )

    out = b"".join([stream.feed(event) for event in splitter.feed(RAW)])

    chunks = [json.loads(line[6:]) for line in out.decode().split("\n\n") if line]
    choices = [each for chunk in chunks for each in chunk["choices"]]
    assert "".join([each["delta"].get("content") or "" for each in choices]) == "Hi"
    assert [each["finish_reason"] for each in choices][-1] == "content_filter"
    assert {chunk["model"] for chunk in chunks} == {"gpt-4o"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert b"filter_results" not in out
    assert b"offsets" not in out
    assert stream.is_done
    assert stream.finish_reason == "content_filter"
    assert stream.usage == Usage(5, 0, 0, 2, 0)


def test_a_stream_may_be_cut_at_every_byte() -> None:
    whole = AzureSplitter().feed(RAW)
    for at in range(len(RAW)):
        splitter = AzureSplitter()
        assert splitter.feed(RAW[:at]) + splitter.feed(RAW[at:]) + splitter.finish() == whole


def test_a_whole_answer_loses_what_the_filters_found() -> None:
    message = {"role": "assistant", "content": "_filter_ stays"}
    body = {
        "id": "c1",
        "choices": [
            {"index": 0, "message": message, "finish_reason": "stop", "content_filter_results": SAFE}
        ],
    }
    raw = json.dumps(
        body | {"prompt_filter_results": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    ).encode()

    answer = AzureNativeChat().answer(raw, attempt(ask(Chat(), HI), channel=AT))

    assert b"filter_results" not in answer.body
    assert json.loads(answer.body)["choices"][0]["message"] == message
    assert answer.usage == Usage(5, 0, 0, 2, 0)


def test_the_key_goes_into_azures_own_header() -> None:
    for passage in (AzureNativeChat(), Translation(Chat(), AzureChat())):
        request = passage.prepare(attempt(ask(Chat(), HI), channel=AT))

        assert ("api-key", "azure-key") in request.headers
        assert "authorization" not in dict(request.headers)
        assert request.target == "/chat/completions"


def test_a_filtered_prompt_is_the_callers_matter() -> None:
    error = {
        "message": "The response was filtered due to the prompt triggering the content management policy.",
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE},
    }
    body = json.dumps({"error": error}).encode()

    assert not AzureNativeChat().blames_our_account(body)
    assert AzureNativeChat().complaint(body, AT) == (error["message"], "prompt")


@pytest.mark.parametrize(
    ("format_", "traits", "kind"),
    [
        (Chat(), set(), AzureNativeChat),
        (Chat(), {"responses_only"}, Translation),
        (Responses(), set(), NativeResponses),
        (Responses(), {"responses_only"}, NativeResponses),
    ],
)
def test_the_way_to_azure(format_: Format, traits: set[str], kind: type) -> None:
    at = attempt(channel=AT, model=model(traits=frozenset(traits)))

    passage = passage_for(format_, at.route, at.model)

    assert type(passage) is kind
    if isinstance(passage, Translation):
        assert isinstance(passage._adapter, OpenAIResponses)


def test_an_error_inside_a_stream_is_noticed() -> None:
    splitter, stream = AzureSplitter(), AzureNativeChat().stream(attempt(ask(Chat(), HI | {"stream": True})))
    raw = b'data: {"error":{"message":"x","innererror":{"content_filter_result":{}}}}\n\n'

    (event,) = splitter.feed(raw)

    with pytest.raises(BadAnswer):
        stream.feed(event)


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content_filter_results", "prompt_filter_results", "id", "usage"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_makes_the_splitter_fail(value: Any) -> None:
    raw = json.dumps({"_filter_": value, "choices": value}).encode()

    AzureSplitter().feed(b"data: " + raw + b"\n\n")
    without_filters(raw)
    without_filters(json.dumps(value).encode() + b"_filter_")
