"""What the Gemini adapter writes and reads beyond the recorded traffic."""

from __future__ import annotations

import json
import mimetypes
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import Raw

from catalog.pricing import Usage
from gateway import form as f
from gateway.assembly import Assembly
from gateway.events import (
    Cited,
    Finished,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.gemini import Gemini
from gateway.upstreams.gemini_seals import NO_SIGNATURE
from tests.gateway.attempts import attempt, channel, model

ADAPTER = Gemini()
ASK = [f.Message("user", [f.Text("hi")])]
SCHEMA = b'{"type":"object","properties":{"city":{"$ref":"#/$defs/c"}},"$defs":{"c":{"type":"string"}}}'
WEATHER = f.FunctionTool("weather", "Tell the weather.", Raw(SCHEMA))
LEVELS = frozenset({"thinking_level"})


def form(**fields: Any) -> f.Form:
    return f.Form(**{"messages": ASK, **fields})


def sent(wanted: f.Form, *, traits: frozenset[str] = frozenset(), **fields: Any) -> dict[str, Any]:
    to = attempt(model=model(traits=traits), upstream_model="gemini-x", **fields)
    body: dict[str, Any] = json.loads(ADAPTER.prepare(wanted, to).body)
    return body


def dropped(wanted: f.Form, *, traits: frozenset[str] = frozenset()) -> set[str]:
    return set(ADAPTER.prepare(wanted, attempt(model=model(traits=traits))).dropped)


def answer(candidate: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"candidates": [candidate], "responseId": "r1"} | more).encode()


def said(*parts: dict[str, Any], finish: str = "STOP", **more: Any) -> bytes:
    return answer({"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}, **more)


def read(body: bytes, wanted: f.Form | None = None) -> Result:
    return ADAPTER.answer(body, wanted or form())


def test_the_key_goes_into_a_header_and_the_model_into_the_path() -> None:
    to = attempt(channel=channel("google", "gemini"), upstream_model="gemini-3-flash")

    whole = ADAPTER.prepare(form(), to)
    stream = ADAPTER.prepare(form(is_stream=True), to)

    assert whole.target == "/models/gemini-3-flash:generateContent"
    assert stream.target == "/models/gemini-3-flash:streamGenerateContent?alt=sse"
    assert ("x-goog-api-key", "sk-secret-of-ours-123456") in whole.headers
    assert "secret" not in stream.target


def test_a_models_name_cannot_leave_its_place_in_the_path() -> None:
    to = attempt(upstream_model="models/../x?key=1")

    assert ADAPTER.prepare(form(), to).target == "/models/..%2Fx%3Fkey%3D1:generateContent"


def test_everything_that_tunes_and_exists_is_written() -> None:
    wanted = form(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=2**40 + 3,
        stop=["a", "b"],
        choices=2,
        logprobs=True,
        top_logprobs=4,
        response_format=f.ResponseFormat("json_schema", "x", Raw(SCHEMA)),
    )

    assert sent(wanted, output_bound=77)["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 3,
        "stopSequences": ["a", "b"],
        "candidateCount": 2,
        "maxOutputTokens": 77,
        "responseLogprobs": True,
        "logprobs": 4,
        "responseMimeType": "application/json",
        "responseJsonSchema": json.loads(SCHEMA),
    }


def test_what_only_tunes_and_is_unknown_is_left_out_and_named() -> None:
    wanted = form(
        frequency_penalty=1.0,
        logit_bias={"1": 1.0},
        verbosity="low",
        user="u",
        vendor={"chat_template_kwargs": {}},
        top_k=-1,
        tools=[WEATHER],
        parallel_tool_calls=False,
    )

    assert dropped(wanted) == {
        "frequency_penalty",
        "logit_bias",
        "verbosity",
        "user",
        "chat_template_kwargs",
        "parallel_tool_calls",
    }
    assert "generationConfig" not in sent(wanted)
    assert dropped(form(temperature=0.5, top_p=0.1), traits=frozenset({"no_sampling"})) == {
        "temperature",
        "top_p",
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"stop": list("abcdef")}, "stop"),
        ({"tools": [WEATHER], "response_format": f.ResponseFormat("json_object")}, "response_format"),
        ({"tools": [f.WebSearch(allowed_domains=["a.com"])]}, "web_search"),
        ({"messages": [f.Message("user", [f.Image(url="gs://bucket/a.png")])]}, "messages"),
        (
            {"messages": [f.Message("user", [f.Image(url="https://storage.googleapis.com/b/a.png")])]},
            "messages",
        ),
        (
            {"messages": [f.Message("user", [f.Image(url="https://x.GOOGLEAPIS.com./v1beta/files/1")])]},
            "messages",
        ),
        ({"messages": [f.Message("user", [f.Image(url="https://[bad")])]}, "messages"),
        ({"messages": [f.Message("user", [f.Image(url="http://a.example/b.png")])]}, "messages"),
        ({"messages": [f.Message("user", [f.Image(url="https://a.example/pixel")])]}, "messages"),
        ({"messages": [f.Message("system", [f.Image(data="aa", media_type="image/png")])]}, "messages"),
        ({"messages": [f.Message("user", [f.ToolResult("lost", [f.Text("x")])])]}, "messages"),
        ({"messages": [f.Message("user", [f.Foreign("anthropic", "container", Raw(b"{}"))])]}, "messages"),
        ({"tools": [WEATHER], "tool_choice": f.ToolChoice("required", ["other"])}, "tool_choice"),
        ({"tools": [f.WebSearch()], "tool_choice": f.ToolChoice("required", ["web_search"])}, "tool_choice"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(CannotExpress) as refused:
        sent(form(**fields))

    assert refused.value.field == field
    assert refused.value.reason.endswith((".", "…"))


def test_a_begun_answer_is_refused_where_the_model_refuses_it() -> None:
    begun = form(messages=[*ASK, f.Message("assistant", [f.Text("It is")])])

    assert sent(begun)["contents"][-1] == {"role": "model", "parts": [{"text": "It is"}]}
    with pytest.raises(CannotExpress):
        sent(begun, traits=frozenset({"no_prefill"}))


@pytest.mark.parametrize(
    ("reasoning", "traits", "config"),
    [
        (f.Reasoning(), set(), None),
        (f.Reasoning(effort="low"), set(), {"thinkingBudget": 1024, "includeThoughts": True}),
        (f.Reasoning(effort="max"), set(), {"thinkingBudget": 24576, "includeThoughts": True}),
        (f.Reasoning(budget_tokens=60_000), set(), {"thinkingBudget": 24576, "includeThoughts": True}),
        (f.Reasoning(budget_tokens=5), set(), {"thinkingBudget": 512, "includeThoughts": True}),
        (f.Reasoning(is_enabled=True), set(), {"thinkingBudget": -1, "includeThoughts": True}),
        (f.Reasoning(is_enabled=True), {"thinks_by_default"}, {"includeThoughts": True}),
        (f.Reasoning(effort="none", is_enabled=False), set(), {"thinkingBudget": 0}),
        (f.Reasoning(is_enabled=False), {"always_reasons"}, {"thinkingBudget": 512}),
        (
            f.Reasoning(effort="minimal"),
            {"thinking_level"},
            {"thinkingLevel": "MINIMAL", "includeThoughts": True},
        ),
        (f.Reasoning(effort="xhigh"), {"thinking_level"}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (
            f.Reasoning(budget_tokens=4_000),
            {"thinking_level"},
            {"thinkingLevel": "MEDIUM", "includeThoughts": True},
        ),
        (f.Reasoning(is_enabled=False), {"thinking_level"}, {"thinkingLevel": "MINIMAL"}),
        (f.Reasoning(is_enabled=False), {"thinking_level", "always_reasons"}, {"thinkingLevel": "LOW"}),
        (f.Reasoning(summary="auto"), {"thinking_level"}, {"includeThoughts": True}),
    ],
)
def test_how_much_is_thought_is_said_in_the_models_own_way(
    reasoning: f.Reasoning, traits: set[str], config: dict[str, Any] | None
) -> None:
    body = sent(form(reasoning=reasoning), traits=frozenset(traits))

    assert body.get("generationConfig", {}).get("thinkingConfig") == config


def test_thoughts_that_cannot_be_switched_off_are_named() -> None:
    wanted = form(reasoning=f.Reasoning(is_enabled=False))

    assert dropped(wanted, traits=frozenset({"always_reasons"})) == {"reasoning"}
    assert dropped(wanted) == set()


def test_a_conversation_with_tools_keeps_ids_names_and_signatures() -> None:
    turns = [
        f.Message("system", [f.Text("Be brief.")]),
        *ASK,
        f.Message(
            "assistant",
            [
                f.Thinking("hmm", "s0", origin="gemini"),
                f.Thinking("not ours", "other", origin="anthropic"),
                f.ToolCall("c1", "weather", '{"city":"Rome"}', seal="s1"),
                f.ToolCall("c2", "patch", "*** free", is_custom=True, namespace="files"),
            ],
        ),
        f.Message("user", [f.ToolResult("c1", [f.Text('{"n": 12345678901234567890}')])]),
        f.Message("user", [f.ToolResult("c2", [f.Text("bad"), f.Image(data="aa", media_type="image/png")], is_error=True)]),
        f.Message("assistant", [f.Text("It rains.", signature="s2")]),
    ]  # fmt: skip

    body = sent(form(messages=turns), traits=LEVELS)

    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "hmm", "thought": True, "thoughtSignature": "s0"},
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}},
                    "thoughtSignature": "s1",
                },
                {"functionCall": {"id": "c2", "name": "files__patch", "args": {"input": "*** free"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "c1",
                        "name": "weather",
                        "response": {"output": '{"n": 12345678901234567890}'},
                    }
                },
                {"functionResponse": {"id": "c2", "name": "files__patch", "response": {"error": "bad"}}},
                {"inlineData": {"mimeType": "image/png", "data": "aa"}},
            ],
        },
        {"role": "model", "parts": [{"text": "It rains.", "thoughtSignature": "s2"}]},
    ]


@pytest.mark.parametrize(("traits", "signature"), [(LEVELS, NO_SIGNATURE), (frozenset(), None)])
def test_a_lost_signature_is_replaced_only_where_gemini_demands_one(
    traits: frozenset[str], signature: str | None
) -> None:
    calls: list[f.Part] = [f.ToolCall("c1", "weather", "{}"), f.ToolCall("c2", "weather", "")]
    results: list[f.Part] = [f.ToolResult("c1", [f.Text("a")]), f.ToolResult("c2", [])]
    turns = [*ASK, f.Message("assistant", calls), f.Message("user", results)]

    parts = sent(form(messages=turns), traits=traits)["contents"][1]["parts"]

    assert [part.get("thoughtSignature") for part in parts] == [signature, None]


def test_arguments_that_are_no_object_are_told_as_they_are() -> None:
    calls: list[f.Part] = [f.ToolCall("c1", "weather", "not json"), f.ToolCall("c2", "weather", "[1]")]

    parts = sent(form(messages=[*ASK, f.Message("assistant", calls)]))["contents"][1]["parts"]

    assert [part["functionCall"]["args"] for part in parts] == [
        {"arguments": "not json"},
        {"arguments": "[1]"},
    ]


def test_a_schema_is_written_in_the_words_that_gemini_hears() -> None:
    schema = {
        "$defs": {"cat": {"type": "object", "properties": {"kind": {"const": "cat", "type": "string"}}}},
        "type": "object",
        "properties": {
            "pet": {"$ref": "#/$defs/cat", "description": "Whose?"},
            "old": {"allOf": [{"$ref": "#/$defs/cat"}], "title": "Old"},
            "bare": {"$ref": "#/$defs/cat"},
            "const": {"type": "boolean", "const": True},
            "list": {"type": "array", "items": {"const": 3}},
        },
    }
    raw = Raw(json.dumps(schema).encode())
    cat = {"anyOf": [{"$ref": "#/$defs/cat"}]}

    body = sent(
        form(
            response_format=f.ResponseFormat("json_schema", "a", raw),
            tools=[f.FunctionTool("look", parameters=raw)],
        ),
        traits=LEVELS,
    )

    written = body["generationConfig"]["responseJsonSchema"]
    assert written == body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert written["$defs"]["cat"]["properties"] == {"kind": {"enum": ["cat"], "type": "string"}}
    assert written["properties"] == {
        "pet": cat | {"description": "Whose?"},
        "old": cat | {"title": "Old"},
        "bare": {"$ref": "#/$defs/cat"},
        "const": {"type": "boolean", "const": True},
        "list": {"type": "array", "items": {"enum": [3]}},
    }


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "HEIC", "pdf"])
def test_the_kind_of_a_file_is_told_by_its_address_on_every_system(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = mimetypes.MimeTypes()
    bare.types_map[True].pop(".webp", None)
    monkeypatch.setattr(mimetypes, "guess_type", bare.guess_type)
    picture: list[f.Part] = [f.Image(url=f"https://example.com/a.{ending}?size=2")]

    (part,) = sent(form(messages=[f.Message("user", picture)]))["contents"][0]["parts"]

    assert part["fileData"]["mimeType"].endswith(ending.lower().replace("jpg", "jpeg"))


def test_pictures_recordings_and_documents_go_inline_or_by_public_address() -> None:
    message = f.Message(
        "user",
        [
            f.Image(data="aa", media_type="image/png"),
            f.Image(url="https://a.example/b.webp?x=1"),
            f.File(url="https://a.example/report", media_type="application/pdf"),
            f.Audio("bb", "wav"),
            f.File(data="cc", media_type="application/pdf", name="a.pdf"),
            f.File(text="plain", name="a.txt"),
        ],
    )

    assert sent(form(messages=[message]))["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "aa"}},
        {"fileData": {"fileUri": "https://a.example/b.webp?x=1", "mimeType": "image/webp"}},
        {"fileData": {"fileUri": "https://a.example/report", "mimeType": "application/pdf"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "bb"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "cc"}},
        {"text": "a.txt:\nplain"},
    ]


@pytest.mark.parametrize(
    ("choice", "config", "declared"),
    [
        (f.ToolChoice(), None, ["weather", "time"]),
        (f.ToolChoice("none"), {"mode": "NONE"}, ["weather", "time"]),
        (f.ToolChoice("required"), {"mode": "ANY"}, ["weather", "time"]),
        (
            f.ToolChoice("required", ["time"]),
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
            ["weather", "time"],
        ),
        (f.ToolChoice("auto", ["time"]), None, ["time"]),
    ],
)
def test_the_choice_of_tools(choice: f.ToolChoice, config: Any, declared: list[str]) -> None:
    body = sent(form(tools=[WEATHER, f.FunctionTool("time")], tool_choice=choice))

    assert body.get("toolConfig", {}).get("functionCallingConfig") == config
    functions = body["tools"][0]["functionDeclarations"]
    assert [function["name"] for function in functions] == declared
    by_name = {function["name"]: function["parametersJsonSchema"] for function in functions}
    assert by_name["time"] == {"type": "object", "properties": {}}
    assert by_name.get("weather", json.loads(SCHEMA)) == json.loads(SCHEMA)


def test_search_stands_beside_functions_only_where_both_can_be() -> None:
    both = form(tools=[WEATHER, f.WebSearch()])

    assert sent(form(tools=[f.WebSearch()]))["tools"] == [{"googleSearch": {}}]
    assert dropped(both) == {"tools.web_search"}
    body = sent(both, traits=LEVELS)
    assert body["tools"][1] == {"googleSearch": {}}
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}


def test_calls_without_ids_get_stable_ones_and_their_own_names_back() -> None:
    tools: list[f.Tool] = [f.FunctionTool("do it!", namespace="a.b"), f.CustomTool("patch")]
    declared = sent(form(tools=tools))["tools"][0]["functionDeclarations"][0]["name"]
    body = said(
        {"functionCall": {"name": declared, "args": {"x": 1.5}}, "thoughtSignature": "sig"},
        {"functionCall": {"name": declared, "id": "own"}},
    )

    (choice,) = read(body, form(tools=tools)).choices
    again = read(body, form(tools=tools)).choices[0]

    first, second = choice.parts
    assert isinstance(first, f.ToolCall)
    assert isinstance(second, f.ToolCall)
    assert (first.name, first.namespace, first.arguments, first.seal) == ("do it!", "a.b", '{"x":1.5}', "sig")
    assert (second.id, second.arguments) == ("own", "{}")
    assert first.id.startswith("call_")
    assert again.parts == choice.parts
    assert choice.reason == "tool_calls"


def test_thoughts_text_and_their_signatures_are_told_apart() -> None:
    body = said(
        {"text": "hmm", "thought": True, "thoughtSignature": "s0"},
        {"text": "Hi"},
        {"text": "", "thoughtSignature": "s1"},
        {"executableCode": {"code": "1"}},
        {"text": ""},
    )

    events = ADAPTER.reader(form()).feed(body)

    assert events[1:-1] == [
        ThinkingDelta("hmm"),
        ThinkingSealed("s0", "gemini"),
        TextDelta("Hi"),
        TextDelta("", seal="s1"),
    ]
    assert events[-1] == Finished("stop")


@pytest.mark.parametrize("traits", [LEVELS, frozenset()])
def test_every_signature_comes_back_where_it_was(traits: frozenset[str]) -> None:
    parts: list[dict[str, Any]] = [
        {"text": "hmm", "thought": True, "thoughtSignature": "s0"},
        {"text": "Hi", "thoughtSignature": "s1"},
        {"functionCall": {"id": "c", "name": "weather", "args": {}}, "thoughtSignature": "s2"},
        {"functionCall": {"id": "d", "name": "weather", "args": {}}},
    ]
    (choice,) = read(said(*parts)).choices

    turn = f.Message("assistant", [part for part in choice.parts if not isinstance(part, Searched)])

    assert sent(form(messages=[*ASK, turn]), traits=traits)["contents"][1]["parts"] == parts


@pytest.mark.parametrize("schema", [None, Raw(b"null"), Raw(b"{}"), Raw(b'{"properties":{}}')])
def test_a_function_without_a_schema_takes_an_object(schema: Raw | None) -> None:
    (tool,) = sent(form(tools=[f.FunctionTool("time", parameters=schema)]))["tools"]

    assert tool["functionDeclarations"][0]["parametersJsonSchema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("SPII", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(reason: str, expected: str) -> None:
    assert read(said({"text": "a"}, finish=reason)).choices[0].reason == expected


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "MISSING_THOUGHT_SIGNATURE"])
def test_a_failure_of_geminis_own_without_content_is_no_answer(reason: str) -> None:
    with pytest.raises(BadAnswer):
        read(said(finish=reason))


def test_a_blocked_prompt_is_an_empty_filtered_answer_of_every_choice() -> None:
    body = json.dumps(
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}}
    ).encode()

    result = read(body, form(choices=2))

    assert [(choice.parts, choice.reason) for choice in result.choices] == [([], "content_filter")] * 2
    assert result.usage == Usage(7, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}, Usage(10, 0, 0, 4, 0)),
        (
            {"promptTokenCount": 10, "cachedContentTokenCount": 6, "candidatesTokenCount": 4, "thoughtsTokenCount": 3,
             "toolUsePromptTokenCount": 5, "totalTokenCount": 22},
            Usage(15, 6, 0, 7, 3),
        ),
        # Thoughts that are counted among the candidates already.
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 7, "thoughtsTokenCount": 3, "totalTokenCount": 17},
            Usage(10, 0, 0, 7, 3),
        ),
        (
            {"promptTokenCount": 30, "candidatesTokenCount": 9,
             "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}, {"modality": "IMAGE", "tokenCount": 4},
                                     {"modality": "DOCUMENT", "tokenCount": 3}],
             "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}], "cachedContentTokenCount": 7,
             "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}]},
            Usage(30, 7, 0, 9, 0, audio_input_tokens=20, audio_output_tokens=8, image_input_tokens=7, cached_audio_tokens=6),
        ),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"promptTokenCount": -1, "candidatesTokenCount": 4}, None),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": -2, "candidatesTokenCount": 4}, None),
        ({"promptTokenCount": 10**12}, None),
    ],
)  # fmt: skip
def test_usage(reported: dict[str, Any], usage: Usage | None) -> None:
    assert read(said({"text": "a"}, usageMetadata=reported)).usage == usage


def test_a_report_without_output_waits_for_the_end() -> None:
    reader, assembly = ADAPTER.reader(form()), Assembly()
    text = {"content": {"parts": [{"text": "a"}]}}

    assembly.take(reader.feed(answer(text, usageMetadata={"promptTokenCount": 5, "totalTokenCount": 5})))
    assert assembly.result().usage is None

    assembly.take(reader.feed(answer({"finishReason": "STOP"}, usageMetadata={"promptTokenCount": 5})))
    assert assembly.result().usage == Usage(5, 0, 0, 0, 0)


def test_two_choices_are_told_apart() -> None:
    body = json.dumps(
        {
            "candidates": [
                {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"},
                {"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS", "index": 0},
            ]
        }
    ).encode()

    result = read(body, form(choices=2))

    assert [(choice.parts, choice.reason) for choice in result.choices] == [
        ([f.Text("a")], "length"),
        ([f.Text("b")], "stop"),
    ]
    with pytest.raises(BadAnswer):
        read(body, form())


def test_searches_are_counted_and_cited_in_characters() -> None:
    grounding = {
        "webSearchQueries": ["rain", "rain", "", "sun"],
        "groundingChunks": [
            {"web": {"uri": "https://a", "title": "A"}},
            {"web": {"uri": "https://b"}},
            {},
            {"web": {"uri": "https://c"}},
        ],
        "groundingSupports": [
            {
                "segment": {"startIndex": 13, "endIndex": 17, "text": "nass"},
                "groundingChunkIndices": [0, 2, 9],
            },
            # Where the bytes do not fit, the first place of the words does.
            {"segment": {"startIndex": 1, "endIndex": 5, "text": "Öl"}, "groundingChunkIndices": [1]},
            {"segment": {"startIndex": 900, "endIndex": 901, "text": "!"}, "groundingChunkIndices": [0]},
        ],
    }
    body = answer(
        {"content": {"parts": [{"text": "nass Öl – "}]}, "groundingMetadata": {}},
    )
    last = answer(
        {"content": {"parts": [{"text": "nass"}]}, "finishReason": "STOP", "groundingMetadata": grounding},
        usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 2},
    )
    reader, events = ADAPTER.reader(form()), []
    for event in (body, last):
        events += reader.feed(event)

    assert [event.query for event in events if isinstance(event, Searched)] == ["rain", "sun"]
    assert [event for event in events if isinstance(event, Cited)] == [
        Cited("https://a", "A", 10, 14),
        Cited("https://b", "", 5, 7),
        Cited("https://a", "A", -1, -1),
        Cited("https://c"),
    ]
    # A search would end the text, and a source belongs to the text that is open.
    assert [type(event) for event in events if isinstance(event, Cited | Searched)] == [Cited] * 4 + [
        Searched
    ] * 2


def test_logprobs_come_in_the_shape_of_chat_completions() -> None:
    chosen = [{"token": "é", "logProbability": -0.5}]
    logprobs = {"chosenCandidates": chosen, "topCandidates": [{"candidates": chosen}]}
    body = answer({"content": {"parts": [{"text": "é"}]}, "finishReason": "STOP", "logprobsResult": logprobs})

    (choice,) = read(body).choices

    assert choice.logprobs is not None
    token = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    assert json.loads(bytes(choice.logprobs)) == [token | {"top_logprobs": [token]}]


KEY_INVALID = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}


@pytest.mark.parametrize(
    ("body", "is_ours"),
    [
        (KEY_INVALID, True),
        ([KEY_INVALID], True),
        ({"error": {"status": "FAILED_PRECONDITION", "message": "User location is not supported"}}, True),
        ({"error": {"status": "X", "message": "x", "details": [{"reason": "BILLING_DISABLED"}]}}, True),
        ({"error": {"status": "INVALID_ARGUMENT", "message": "You said: API key not valid"}}, False),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota"}}, False),
        ({"error": {"details": {"reason": []}, "status": {}}}, False),
        ({"error": {"details": [{"reason": []}, 7]}}, False),
        ([], False),
        ("nonsense", False),
    ],
)
def test_our_own_account_is_told_from_a_callers_mistake(body: Any, *, is_ours: bool) -> None:
    assert ADAPTER.blames_our_account(json.dumps(body).encode()) is is_ours


def test_a_complaint_keeps_its_meaning_and_loses_our_secrets() -> None:
    text = (
        "Bad value at 'x' of projects/our-project-1/locations/eu for sk-secret-of-ours-123456, AIzaSyA1234567890, "
        "svc@p.iam.gserviceaccount.com, see https://internal.example/x."
    )

    message, param = ADAPTER.complaint(json.dumps([{"error": {"message": text}}]).encode(), channel())

    assert message.startswith("Bad value at 'x' of [removed]")
    assert param is None
    for secret in ("our-project-1", "sk-secret", "AIza", "gserviceaccount", "internal.example"):
        assert secret not in message
    assert ADAPTER.complaint(b"<html>", channel())[0]


@pytest.mark.parametrize(
    "event",
    [
        b"", b"{", b"null", b"[]", b'{"error":{"code":503}}', b'[{"error":{}}]', b'{"candidates":7}', b"\xff",
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":7}}]}}]}', b"[" * 100_000,
        b'{"candidates":[{"index":-1}]}',
    ],
)  # fmt: skip
def test_an_error_or_nonsense_inside_a_stream_is_noticed(event: bytes) -> None:
    with pytest.raises(BadAnswer):
        ADAPTER.reader(form()).feed(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["candidates", "content", "parts", "text", "functionCall", "name", "args", "index", "finishReason",
             "groundingMetadata", "groundingChunks", "web", "groundingSupports", "segment", "startIndex", "endIndex",
             "groundingChunkIndices", "usageMetadata", "promptTokenCount", "promptFeedback", "blockReason", "thought"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(JSON, max_size=3))
def test_no_json_makes_the_reader_fail_otherwise(values: list[Any]) -> None:
    reader = ADAPTER.reader(form())
    for value in values:
        body = json.dumps(value).encode()
        try:
            reader.feed(body)
        except BadAnswer:
            continue
    for value in values:
        ADAPTER.blames_our_account(json.dumps({"error": value}).encode())
        ADAPTER.complaint(json.dumps({"error": value}).encode(), channel())


def test_a_call_in_one_event_and_the_end_in_the_next_is_one_finish() -> None:
    reader = ADAPTER.reader(form())

    began = reader.feed(answer({"content": {"parts": [{"functionCall": {"name": "w"}}]}}))
    assert [type(event) for event in began][-2:] == [ToolBegan, ToolDelta]

    assert reader.feed(answer({"finishReason": "STOP"})) == [Finished("tool_calls")]
    assert reader.feed(answer({"finishReason": "STOP"})) == []
