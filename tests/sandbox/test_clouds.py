"""The sandbox as Amazon Bedrock, Azure, Vertex AI and Mistral: their paths, credentials, frames and errors."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest

from gateway.upstreams.aws_signature import Credential, Request, Scope, sign
from gateway.upstreams.eventstream import FrameSplitter
from tests.live.sandbox import LiveSandbox

MODEL = "eu.anthropic.claude-haiku-4-5-v1:0"
TOOLS = {
    "tools": [
        {"toolSpec": {"name": "look_up", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
        {"cachePoint": {"type": "default"}},
    ]
}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


def body(*turns: Any, **fields: Any) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "assistant" if place % 2 else "user", "content": content}
            for place, content in enumerate(turns)
        ],
        **fields,
    }


def says(text: str) -> list[dict[str, Any]]:
    return [{"text": text}]


def converse(sandbox: LiveSandbox, asked: dict[str, Any], method: str = "converse") -> httpx2.Response:
    """Ask as Amazon's own clients do, with a signature."""
    url = httpx2.URL(f"{sandbox.base_url_of('bedrock')}/model/{MODEL.replace(':', '%3A')}/{method}")
    raw, headers = json.dumps(asked).encode(), {"host": url.netloc.decode()}
    request = Request("POST", url.raw_path.decode(), headers, raw)
    signed = sign(request, Credential("AKIDEXAMPLE", "secret"), Scope("us-east-1", "bedrock"), time.time())
    return sandbox.http.post(url, content=raw, headers=signed)


def answer(sandbox: LiveSandbox, asked: dict[str, Any]) -> Any:
    response = converse(sandbox, asked)
    assert response.status_code == 200, response.text
    return response.json()


def events(sandbox: LiveSandbox, asked: dict[str, Any]) -> list[dict[str, Any]]:
    response = converse(sandbox, asked, "converse-stream")
    assert response.headers["content-type"] == "application/vnd.amazon.eventstream"
    told = [json.loads(event) for event in FrameSplitter().feed(response.content)]
    return [{name: {**each, "p": ""} for name, each in event.items()} for event in told]


def test_bedrock_answers_with_thoughts_text_and_calls(sandbox: LiveSandbox) -> None:
    asked = body(
        says('[[sandbox think=Hmm. text="two words" call=look_up arguments=\'{"a":1}\']]'),
        toolConfig=TOOLS,
        additionalModelRequestFields=THINKING,
    )

    told = answer(sandbox, asked)

    thought, text, call = told["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == "Hmm."
    assert text == {"text": "two words"}
    assert (call["toolUse"]["name"], call["toolUse"]["input"]) == ("look_up", {"a": 1})
    assert told["stopReason"] == "tool_use"
    assert told["usage"]["totalTokens"] == told["usage"]["inputTokens"] + told["usage"]["outputTokens"]
    assert "latencyMs" in told["metrics"]


def test_bedrock_streams_frames_with_a_report_at_the_end(sandbox: LiveSandbox) -> None:
    told = events(sandbox, body(says("[[sandbox tokens=2]]")))

    assert [next(iter(event)) for event in told] == [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert told[-2]["messageStop"]["stopReason"] == "end_turn"
    assert told[-1]["metadata"]["usage"]["outputTokens"] == 2


def test_a_stream_of_bedrock_fails_with_an_exception(sandbox: LiveSandbox) -> None:
    told = events(sandbox, body(says("[[sandbox tokens=5 error_after=2]]")))

    assert told[-1]["exception"]["type"] == "modelStreamErrorException"


def test_a_thought_of_bedrock_must_come_back_as_it_was(sandbox: LiveSandbox) -> None:
    question = says("[[sandbox think=Hmm. script='call:look_up {}|text:done']]")
    fields = {"toolConfig": TOOLS, "additionalModelRequestFields": THINKING}
    turn = answer(sandbox, body(question, **fields))["output"]["message"]["content"]
    used = turn[-1]["toolUse"]["toolUseId"]
    result = [{"toolResult": {"toolUseId": used, "content": says("hot"), "status": "success"}}]

    again = answer(sandbox, body(question, turn, result, **fields))
    turn[0]["reasoningContent"]["reasoningText"]["text"] = "Changed."
    changed = converse(sandbox, body(question, turn, result, **fields))

    assert again["output"]["message"]["content"][-1] == {"text": "done"}
    assert changed.status_code == 400
    assert "signature" in changed.json()["message"]


def test_a_cache_point_of_bedrock_keeps_what_stands_before_it(sandbox: LiveSandbox) -> None:
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    asked = body(says("[[sandbox tokens=1]]"), system=[{"text": "word " * 2_000}, point])

    first, second = (answer(sandbox, asked)["usage"] for _ in range(2))

    kept = first["cacheWriteInputTokens"]
    assert kept > 1_024
    assert first["cacheDetails"] == [{"ttl": "1h", "inputTokens": kept}]
    assert (second["cacheWriteInputTokens"], second["cacheReadInputTokens"]) == (0, kept)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (body(says(" ")), "is blank"),
        (body(), "must start with a user message"),
        ({"messages": [{"role": "user", "content": says("a")}] * 2}, "must alternate"),
        (body([{"toolUse": {"toolUseId": "a", "name": "b", "input": {}}}]), "toolConfig field must be defined"),
        (body(says("a"), stream=True), "unknown field `stream`"),
        (body([{"document": {"format": "pdf", "name": "a", "source": {"bytes": ""}}}]), "A text block is required"),
        (body([{"audio": {}}]), "does not support audio"),
        (body(says("a"), additionalModelRequestFields={"max_tokens": 3}), "max_tokens: Extra inputs"),
    ],
)  # fmt: skip
def test_bedrock_refuses_what_amazon_refuses(
    sandbox: LiveSandbox, asked: dict[str, Any], complaint: str
) -> None:
    response = converse(sandbox, asked)

    assert (response.status_code, response.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert complaint in response.json()["message"]


def test_bedrock_demands_a_signature(sandbox: LiveSandbox) -> None:
    url = f"{sandbox.base_url_of('bedrock')}/model/a/converse"
    asked = body(says("[[sandbox tokens=1]]"))

    unsigned = sandbox.http.post(url, json=asked)
    odd = sandbox.http.post(url, json=asked, headers={"authorization": "AWS4-HMAC-SHA256 Credential=a"})
    with_key = sandbox.http.post(url, json=asked, headers={"authorization": "Bearer ABSK"})

    assert unsigned.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert odd.headers["x-amzn-errortype"] == "IncompleteSignatureException"
    assert [each.status_code for each in (unsigned, odd, with_key)] == [403, 403, 200]


def test_azure_tells_what_its_filters_found(sandbox: LiveSandbox) -> None:
    url = f"{sandbox.base_url_of('azure')}/chat/completions"
    asked = {"model": "gpt-5", "messages": [{"role": "user", "content": "[[sandbox tokens=1]]"}]}

    whole = sandbox.http.post(url, json=asked).json()
    streamed = sandbox.http.post(url, json=asked | {"stream": True}).text
    blocked = asked | {"messages": [{"role": "user", "content": "[[sandbox blocked]]"}]}

    first = json.loads(streamed.split("\n\n")[0].removeprefix("data: "))
    assert "prompt_filter_results" in whole
    assert "content_filter_results" in whole["choices"][0]
    assert (first["id"], first["choices"]) == ("", [])
    assert "prompt_filter_results" in first
    assert sandbox.http.post(url, json=blocked).json()["error"]["code"] == "content_filter"


def test_vertex_speaks_gemini_at_its_own_paths(sandbox: LiveSandbox) -> None:
    url = f"{sandbox.base_url_of('vertex')}/publishers/google/models/gemini-2.5-flash:generateContent"
    asked = {"contents": [{"role": "user", "parts": [{"text": "[[sandbox text=hi]]"}]}]}

    told = sandbox.http.post(url, json=asked, headers={"authorization": "Bearer t"}).json()

    assert told["candidates"][0]["content"]["parts"][0]["text"] == "hi"
    assert sandbox.http.post(url, json=asked).status_code == 403


def test_mistral_knows_its_own_fields_and_short_ids_alone(sandbox: LiveSandbox) -> None:
    url = f"{sandbox.base_url_of('mistral')}/chat/completions"
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "[[sandbox tokens=1]]"}]}
    called = {"role": "tool", "tool_call_id": "call_1", "content": "a"}

    streamed = sandbox.http.post(url, json=asked | {"stream": True}).text
    foreign = sandbox.http.post(url, json=asked | {"seed": 3})
    long = sandbox.http.post(url, json=asked | {"messages": [*asked["messages"], called]})

    assert json.loads(streamed.split("\n\n")[-3].removeprefix("data: "))["usage"]["completion_tokens"] == 1
    assert (foreign.status_code, foreign.json()["object"]) == (422, "error")
    assert (long.status_code, "with a length of 9" in long.json()["message"]) == (400, True)
