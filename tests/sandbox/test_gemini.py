"""The sandbox as Gemini, held against what Google was recorded to send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live.sandbox import LiveSandbox

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared/recordings/gemini"
# Google documents these, but no recording holds them.
DOCUMENTED = {"cachedContentTokenCount", "logprobsResult"}
# What lies below these is the caller's own.
FREE = {"args"}
MODEL = "gemini-3.0-pro"
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}
TOOLS = [{"functionDeclarations": [WEATHER]}]


def body(prompt: str | list[Any], **fields: Any) -> dict[str, Any]:
    spoken = [{"role": "user", "parts": [{"text": prompt}]}] if isinstance(prompt, str) else prompt
    return {"contents": spoken, **fields}


def post(
    sandbox: LiveSandbox, method: str, content: dict[str, Any], *, model: str = MODEL
) -> httpx2.Response:
    url = f"/gemini/v1beta/models/{model}:{method}"
    return sandbox.http.post(url, json=content, headers={"x-goog-api-key": "none needed"})


def ask(
    sandbox: LiveSandbox, prompt: str | list[Any], *, model: str = MODEL, **fields: Any
) -> dict[str, Any]:
    reply = post(sandbox, "generateContent", body(prompt, **fields), model=model).raise_for_status()
    return dict(reply.json())


def stream(sandbox: LiveSandbox, prompt: str | list[Any], **fields: Any) -> list[dict[str, Any]]:
    text = post(sandbox, "streamGenerateContent?alt=sse", body(prompt, **fields)).raise_for_status().text
    return [json.loads(block.removeprefix("data: ")) for block in text.strip().split("\n\n")]


def refused(
    sandbox: LiveSandbox, prompt: str | list[Any], *, model: str = MODEL, **fields: Any
) -> dict[str, Any]:
    reply = post(sandbox, "generateContent", body(prompt, **fields), model=model)
    assert reply.status_code == reply.json()["error"]["code"]
    return dict(reply.json()["error"])


def parts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return list(answer["candidates"][0]["content"]["parts"])


def paths(value: Any, place: str = "") -> set[str]:
    """Return every key of a value with its place."""
    if isinstance(value, list):
        return {found for one in value for found in paths(one, place)}
    if not isinstance(value, dict):
        return set()
    below = (paths({} if key in FREE else inner, f"{place}.{key}") for key, inner in value.items())
    return {f"{place}.{key}" for key in value}.union(*below)


def recorded_paths() -> set[str]:
    found: set[str] = set()
    for file in RECORDINGS.glob("*.json"):
        response = json.loads(file.read_text(encoding="utf-8"))["response"]
        if isinstance(response, str):
            lines = [line for line in response.splitlines() if line.startswith("data:")]
            found |= {path for line in lines for path in paths(json.loads(line.removeprefix("data:")))}
        else:
            found |= paths(response)
    return found


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside the project")
def test_every_key_occurs_in_googles_own_answers(sandbox: LiveSandbox) -> None:
    config = {"thinkingConfig": {"includeThoughts": True}}
    search: list[Any] = [{"googleSearch": {}}]
    written: set[str] = set()
    for prompt, fields in (
        ("[[sandbox think=3]] Explain ledgers.", {"generationConfig": config}),
        ("[[sandbox call=get_weather calls=2]] Weather in Paris?", {"tools": TOOLS}),
        ("[[sandbox search=ledgers]] Ledgers?", {"tools": search}),
        ("[[sandbox length]] Hm?", {}),
        ("[[sandbox refuse]] Hm?", {}),
        ("[[sandbox blocked]] Hm?", {}),
    ):
        written |= paths(ask(sandbox, prompt, **fields))
        written |= {path for chunk in stream(sandbox, prompt, **fields) for path in paths(chunk)}

    unknown = {path for path in written - recorded_paths() if not DOCUMENTED & set(path.split("."))}
    assert len(written) > 25
    assert not unknown


def test_a_stream_says_the_same_as_the_whole_answer(sandbox: LiveSandbox) -> None:
    whole = ask(sandbox, "[[sandbox think=3]] Explain ledgers.")
    chunks = stream(sandbox, "[[sandbox think=3]] Explain ledgers.")

    texts = [part["text"] for chunk in chunks for part in parts(chunk)]
    assert "".join(texts) == parts(whole)[0]["text"]
    assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks[-2:]] == [None, "STOP"]
    assert len({chunk["responseId"] for chunk in chunks}) == 1
    # No other end than the stream's own.
    assert chunks[-1]["modelVersion"] == MODEL


def test_thoughts_are_counted_beside_the_candidates_and_shown_only_when_asked_for(
    sandbox: LiveSandbox,
) -> None:
    prompt = "[[sandbox think=3 tokens=5]] Hm?"
    hidden = ask(sandbox, prompt)
    shown = ask(sandbox, prompt, generation_config={"thinking_config": {"include_thoughts": True}})
    off = ask(sandbox, "[[sandbox tokens=5]] Hm?", generationConfig={"thinkingConfig": {"thinkingBudget": 0}})

    usage = hidden["usageMetadata"]
    assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"]) == (5, 3)
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + 8
    assert [part.get("thought") for part in parts(hidden)] == [None]
    assert [part.get("thought") for part in parts(shown)] == [True, None]
    assert "thoughtsTokenCount" not in off["usageMetadata"]


def test_a_call_ends_with_stop_and_its_signature_must_come_back(sandbox: LiveSandbox) -> None:
    asked = {"role": "user", "parts": [{"text": "Weather in Paris?"}]}
    reply = ask(sandbox, [asked], tools=TOOLS)
    (call,) = parts(reply)
    given = {
        "role": "user",
        "parts": [{"functionResponse": {"name": "get_weather", "response": {"degrees": 21}}}],
    }

    def history(*calls: dict[str, Any]) -> list[Any]:
        return [asked, {"role": "model", "parts": list(calls)}, given]

    signature = call["thoughtSignature"]
    url_safe = {**call, "thoughtSignature": signature.replace("+", "-").replace("/", "_")}
    unsigned = {"functionCall": call["functionCall"]}
    assert reply["candidates"][0]["finishReason"] == "STOP"
    assert call["functionCall"] == {"name": "get_weather", "args": {"city": "Paris"}}
    for good in (call, url_safe, {**unsigned, "thoughtSignature": "skip_thought_signature_validator"}):
        assert parts(ask(sandbox, history(good), tools=TOOLS))[0]["text"]
    error = refused(sandbox, history(unsigned), tools=TOOLS)
    assert error["status"] == "INVALID_ARGUMENT"
    assert "missing a thought_signature" in error["message"]
    assert (
        "Corrupted" in refused(sandbox, history({**call, "thoughtSignature": "xyz="}), tools=TOOLS)["message"]
    )
    # Once the user has spoken again, the signature is no longer demanded; older models never demand it.
    later = [*history(unsigned), {"role": "model", "parts": [{"text": "21."}]}, asked]
    assert ask(sandbox, later, tools=TOOLS)
    assert ask(sandbox, history(unsigned), tools=TOOLS, model="gemini-2.5-flash")


def test_of_parallel_calls_the_first_is_signed(sandbox: LiveSandbox) -> None:
    first, second = parts(ask(sandbox, "[[sandbox call=get_weather calls=2]] Weather?", tools=TOOLS))
    chunks = stream(sandbox, "[[sandbox call=get_weather calls=2]] Weather?", tools=TOOLS)

    calls = [part for chunk in chunks for part in parts(chunk) if "functionCall" in part]
    assert ("thoughtSignature" in first, "thoughtSignature" in second) == (True, False)
    assert calls == [first, second]
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


def test_prompts_and_answers_can_be_stopped_by_a_filter(sandbox: LiveSandbox) -> None:
    blocked = ask(sandbox, "[[sandbox blocked]] Hm?")

    assert blocked["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT"
    assert "candidates" not in blocked
    assert stream(sandbox, "[[sandbox blocked]] Hm?")[0]["promptFeedback"]
    assert ask(sandbox, "[[sandbox filtered]] Hm?")["candidates"][0]["finishReason"] == "SAFETY"
    assert ask(sandbox, "[[sandbox refuse]] Hm?")["candidates"][0]["finishReason"] == "SAFETY"
    malformed = "[[sandbox finish=MALFORMED_FUNCTION_CALL]] Hm?"
    assert ask(sandbox, malformed)["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


def test_snake_case_is_as_good_as_camel_case(sandbox: LiveSandbox) -> None:
    snake = ask(
        sandbox,
        "[[sandbox tokens=50]] Hm?",
        system_instruction={"parts": [{"text": "Be brief."}]},
        generation_config={"max_output_tokens": 4, "thinking_config": {"thinking_budget": 0}},
    )

    assert snake["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert snake["usageMetadata"]["candidatesTokenCount"] == 4


def test_an_answer_follows_a_schema(sandbox: LiveSandbox) -> None:
    schema = {"type": "OBJECT", "properties": {"age": {"type": "INTEGER"}}, "required": ["age"]}
    config = {"responseMimeType": "application/json", "responseSchema": schema}

    answer = ask(sandbox, "Ada?", generationConfig=config)

    assert isinstance(json.loads(parts(answer)[-1]["text"])["age"], int)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"max_tokens": 5}, 'Unknown name "max_tokens"'),
        ({"generationConfig": {"max_tokens": 5}}, 'Unknown name "max_tokens" at'),
        ({"generationConfig": {"stopSequences": list("abcdef")}}, "stop sequences"),
        ({"generationConfig": {"temperature": 3}}, "temperature"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "low"}}},
            "only one of thinking budget",
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "a", "parameters": {"oneOf": []}}]}]},
            'Unknown name "oneOf"',
        ),
        ({"tools": [{"functionDeclarations": [{"name": "no spaces"}]}]}, "Invalid function name"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": [{}]}]}, "oneof"),
        (
            {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {}}}]}]},
            "number of function response parts",
        ),
    ],
)
def test_what_google_refuses_is_refused(sandbox: LiveSandbox, fields: dict[str, Any], complaint: str) -> None:
    error = refused(sandbox, fields.pop("contents", "Hm?"), **fields)

    assert error["status"] == "INVALID_ARGUMENT"
    assert complaint in error["message"]


def test_a_key_is_demanded_in_a_header_or_the_query(sandbox: LiveSandbox) -> None:
    url = f"/gemini/v1beta/models/{MODEL}:generateContent"
    wrong = post(sandbox, "generateContent", body("[[sandbox key=other]] Hm?"))

    assert sandbox.http.post(url, json=body("Hm?")).json()["error"]["status"] == "PERMISSION_DENIED"
    assert sandbox.http.post(f"{url}?key=k", json=body("Hm?")).status_code == 200
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


@pytest.mark.parametrize(
    ("status", "name"),
    [(404, "NOT_FOUND"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE")],
)
def test_errors_have_a_name(sandbox: LiveSandbox, status: int, name: str) -> None:
    assert refused(sandbox, f"[[sandbox error={status}]]")["status"] == name


def test_an_error_in_a_stream_takes_the_place_of_a_chunk(sandbox: LiveSandbox) -> None:
    assert stream(sandbox, "[[sandbox error_after=1]] Hm?")[-1]["error"]["status"] == "UNAVAILABLE"


def test_tokens_are_counted_without_an_answer(sandbox: LiveSandbox) -> None:
    counted = post(sandbox, "countTokens", body("Explain ledgers.")).json()

    asked = ask(sandbox, "Explain ledgers.")
    assert counted == {"totalTokens": asked["usageMetadata"]["promptTokenCount"]}
