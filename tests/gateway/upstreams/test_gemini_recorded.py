"""Recorded exchanges with Gemini, replayed through its adapter in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.assembly import Assembly
from gateway.events import Choice, Result
from gateway.form import Text, ToolCall
from gateway.formats.chat import Chat
from gateway.passages.translation import Translation
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.gemini import Gemini
from gateway.upstreams.sse import EventSplitter
from tests.gateway.attempts import ask, attempt, model
from tests.gateway.upstreams.recordings import needed, recorded

pytestmark = needed
EVERY = recorded("gemini/*.json")
STREAMS = recorded("gemini/*.stream.json")
HI = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
FORM = ask(Chat(), HI).form()
CHAT = Translation(Chat(), Gemini())


def chunks(recording: Any) -> list[dict[str, Any]]:
    if not isinstance(recording["response"], str):
        return [recording["response"]]
    lines = recording["response"].splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


def parts(recording: Any) -> list[dict[str, Any]]:
    candidates = [one for chunk in chunks(recording) for one in chunk.get("candidates", ())]
    return [part for one in candidates for part in (one.get("content") or {}).get("parts", ())]


def replayed(recording: Any) -> Result:
    if not isinstance(recording["response"], str):
        return Gemini().answer(json.dumps(recording["response"]).encode(), FORM)
    reader, splitter, assembly = Gemini().reader(FORM), EventSplitter(), Assembly()
    for event in splitter.feed(recording["response"].encode()) + splitter.finish():
        assembly.take(reader.feed(event))
    assert assembly.is_finished
    return assembly.result()


def text_of(choice: Choice) -> str:
    return "".join([part.text for part in choice.parts if isinstance(part, Text)])


@pytest.mark.parametrize("recording", EVERY)
def test_a_recorded_answer_keeps_its_text_calls_and_signatures(recording: Any) -> None:
    (choice,) = replayed(recording).choices

    said = [part for part in parts(recording) if not part.get("thought")]
    assert text_of(choice) == "".join([part.get("text", "") for part in said])
    calls = [part for part in said if "functionCall" in part]
    assert [
        (part.name, json.loads(part.arguments), part.seal)
        for part in choice.parts
        if isinstance(part, ToolCall)
    ] == [
        (
            part["functionCall"]["name"],
            part["functionCall"].get("args") or {},
            part.get("thoughtSignature", ""),
        )
        for part in calls
    ]
    thoughts = "".join([part.get("text", "") for part in parts(recording) if part.get("thought")])
    assert (
        "".join([getattr(part, "text", "") for part in choice.parts if type(part).__name__ == "Thinking"])
        == thoughts
    )


@pytest.mark.parametrize("recording", EVERY)
def test_a_recorded_answer_keeps_its_usage_and_finish_reason(recording: Any) -> None:
    result = replayed(recording)

    last = [chunk["usageMetadata"] for chunk in chunks(recording)][-1]
    if "totalTokenCount" not in last:
        assert result.usage is None
    else:
        assert result.usage is not None
        assert result.usage.input_tokens + result.usage.output_tokens == last["totalTokenCount"]
        assert result.usage.reasoning_tokens == last.get("thoughtsTokenCount", 0)
        assert result.usage.cached_tokens == last.get("cachedContentTokenCount", 0)
    blocked = any(
        "promptFeedback" in chunk or "MODEL_ARMOR" in json.dumps(chunk) for chunk in chunks(recording)
    )
    has_calls = any("functionCall" in part for part in parts(recording))
    expected = "content_filter" if blocked else "tool_calls" if has_calls else "stop"
    assert result.choices[0].reason == expected


@pytest.mark.parametrize("recording", EVERY)
def test_a_chat_client_gets_the_recorded_text_and_calls(recording: Any) -> None:
    is_stream = isinstance(recording["response"], str)
    asked = attempt(ask(Chat(), HI | {"stream": is_stream}))
    said = [part for part in parts(recording) if not part.get("thought")]
    text = "".join([part.get("text", "") for part in said])
    names = [part["functionCall"]["name"] for part in said if "functionCall" in part]

    if not is_stream:
        message = json.loads(CHAT.answer(json.dumps(recording["response"]).encode(), asked).body)["choices"][
            0
        ]["message"]
        assert (message["content"] or "") == text
        assert [call["function"]["name"] for call in message.get("tool_calls", ())] == names
        return
    stream, splitter = CHAT.stream(asked), CHAT.splitter()
    out = b"".join(
        [stream.feed(event) for event in splitter.feed(recording["response"].encode()) + splitter.finish()]
    )
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in out.decode().split("\n\n") if line]
    assert "".join([delta.get("content") or "" for delta in deltas]) == text
    called = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["name"] for call in called if call.get("name")] == names
    assert stream.finish_reason
    assert stream.usage is not None


@pytest.mark.parametrize("recording", [one for one in STREAMS if "web-search" in str(one.id)])
def test_citations_stand_where_their_words_stand(recording: Any) -> None:
    (choice,) = replayed(recording).choices

    text = text_of(choice)
    grounding = chunks(recording)[-1]["candidates"][0]["groundingMetadata"]
    quoted = {text[cited.start : cited.end] for cited in choice.citations if cited.start >= 0}
    assert quoted == {support["segment"]["text"] for support in grounding["groundingSupports"]}
    result = replayed(recording)
    assert result.usage is not None
    assert result.usage.searches == len(grounding["webSearchQueries"])


@pytest.mark.parametrize("recording", [one for one in STREAMS if "stream-0" in str(one.id)][:2])
def test_a_stream_cut_at_any_byte_never_ends_cleanly(recording: Any) -> None:
    raw = recording["response"].encode()
    whole = len(raw.rstrip())
    for cut in range(whole - 1):
        stream, splitter = CHAT.stream(attempt(ask(Chat(), HI | {"stream": True}))), EventSplitter()
        try:
            for event in splitter.feed(raw[:cut]) + splitter.finish():
                stream.feed(event)
        except BadAnswer:
            continue
        assert not stream.finish_reason, cut


# The request that a chat client would have to make for a recorded one.
def as_chat(request: dict[str, Any]) -> dict[str, Any]:
    config = request.get("generationConfig", {})
    body: dict[str, Any] = {"model": "gpt-4o", "messages": [], "temperature": config.get("temperature")}
    for part in request.get("systemInstruction", {}).get("parts", ()):
        body["messages"].append({"role": "system", "content": part["text"]})
    for content in request["contents"]:
        body["messages"] += messages_of(content)
    if "tools" in request:
        declared = request["tools"][0]["functionDeclarations"]
        body["tools"] = [{"type": "function", "function": function_of(each)} for each in declared]
    if "toolConfig" in request:
        body["tool_choice"] = "required"
    if "responseJsonSchema" in config:
        named = {"name": "answer", "schema": config["responseJsonSchema"]}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    thinking = config.get("thinkingConfig", {})
    if thinking.get("thinking_budget") == 0:
        body["reasoning_effort"] = "none"
    elif thinking:
        body["thinking"] = {"type": "enabled"}
    return {key: value for key, value in body.items() if value is not None}


def function_of(declared: dict[str, Any]) -> dict[str, Any]:
    function = {"name": declared["name"], "parameters": schema_of(declared)}
    return function | ({"description": declared["description"]} if declared["description"] else {})


def schema_of(declared: dict[str, Any]) -> Any:
    return (
        declared.get("parameters_json_schema")
        or declared.get("parametersJsonSchema")
        or declared["parameters"]
    )


def messages_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    calls = [part for part in content["parts"] if "functionCall" in part]
    results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
    if results:
        return [
            {"role": "tool", "tool_call_id": one["id"], "content": one["response"]["return_value"]}
            for one in results
        ]
    text = "".join([part.get("text", "") for part in content["parts"]])
    if content["role"] == "user":
        return [{"role": "user", "content": text}]
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [call_of(part) for part in calls]
    return [message]


def call_of(part: dict[str, Any]) -> dict[str, Any]:
    call = part["functionCall"]
    function = {"name": call["name"], "arguments": json.dumps(call["args"])}
    seal = {"extra_content": {"google": {"thought_signature": part.get("thoughtSignature", "")}}}
    return {"id": call["id"], "type": "function", "function": function} | seal


def normal(request: dict[str, Any]) -> dict[str, Any]:
    """Return what a request means, whatever the spelling."""
    config = {
        key: value
        for key, value in request.get("generationConfig", {}).items()
        if key != "responseModalities"
    }
    if "thinking_budget" in config.get("thinkingConfig", {}):
        config["thinkingConfig"] = {"thinkingBudget": config["thinkingConfig"]["thinking_budget"]}
    contents = [
        {"role": content["role"], "parts": [normal_part(part) for part in content["parts"]]}
        for content in request["contents"]
    ]
    tools = [
        (each["name"], each.get("description", ""), schema_of(each))
        for tool in request.get("tools", ())
        for each in tool["functionDeclarations"]
    ]
    system = request.get("systemInstruction", {}).get("parts", [])
    mode = request.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode")
    return {"contents": contents, "tools": tools, "system": system, "mode": mode, "config": config}


def normal_part(part: dict[str, Any]) -> dict[str, Any]:
    if "functionResponse" not in part:
        return part
    response = part["functionResponse"]
    return {**response, "response": list(response["response"].values())}


def can_be_said(recording: Any) -> bool:
    request = recording["request"]
    has_own_tools = any("functionDeclarations" not in tool for tool in request.get("tools", ()))
    has_own_parts = any("toolCall" in part for content in request["contents"] for part in content["parts"])
    return not (has_own_tools or has_own_parts or "modelArmorConfig" in request)


@pytest.mark.parametrize("recording", [one for one in EVERY if can_be_said(one.values[0])])
def test_what_a_chat_client_asks_arrives_as_it_was_recorded(recording: Any) -> None:
    traits = frozenset({"thinking_level"} if "gemini-3" in recording["endpoint"] else {"thinks_by_default"})
    name = recording["endpoint"].split("/models/")[1].split(":")[0]
    asked = ask(Chat(), as_chat(recording["request"]) | {"stream": "stream" in recording["endpoint"]})
    to = attempt(asked, model=model(traits=traits), upstream_model=name)

    prepared = Gemini().prepare(asked.form(), to)

    assert recording["endpoint"].endswith(prepared.target)
    assert normal(json.loads(prepared.body)) == normal(recording["request"])
