"""What each upstream protocol must be told, and what its answers mean to a client, as their references have it."""

from __future__ import annotations

import json
from typing import Any

from tests.golden.facts import events

THOUGHT = "Let me see."
REFUSAL = "I'm sorry, but I can't help with that."
# The clouds, with the model that is deployed there.
CLOUDS = {
    "azure": "gpt-5-mini",
    "bedrock": "claude-sonnet-4-5",
    "vertex": "gemini-2.5-flash",
}
# By upstream protocol or dialect: a model that the product reaches through it.
MODELS = {
    "openai": "groq/meta-llama/llama-4-scout-17b-16e-instruct",
    "openai_responses": "gpt-5",
    "anthropic": "claude-sonnet-4-20250514",
    "gemini": "gemini-3.0-pro",
    "deepseek": "deepseek-v4-flash",
    "qwen": "qwen-3.7-max",
    "mistral": "mistral-medium-latest",
    **CLOUDS,
}
# Where in the sandbox each is asked.
PATHS = {
    "openai": ("/v1/",),
    "openai_responses": ("/v1/",),
    "anthropic": ("/anthropic/",),
    "gemini": ("/gemini/",),
    "deepseek": ("/deepseek/",),
    "qwen": ("/qwen/",),
    "mistral": ("/mistral/",),
    "azure": ("/azure/openai/v1/",),
    "bedrock": ("/bedrock/model/",),
    "vertex": ("/vertex/v1/projects/",),
}


def _by_format(effort: dict[str, Any], budget: dict[str, Any], **own: dict[str, Any]) -> dict[str, Any]:
    """Return words for clients that ask for a medium effort, and for those that give 1,024 tokens to think."""
    return {"chat": effort, "responses": effort, "messages": budget} | own


_BUDGETS = tuple({"thinking": {"type": "enabled", "budget_tokens": tokens}} for tokens in (8_192, 1_024))
_OPENAI = {"reasoning": {"effort": "medium", "summary": "auto"}}
# How much is to be thought, in each protocol's words; nothing where the model does not think.
EFFORTS: dict[str, dict[str, Any]] = {
    "openai": _by_format({}, {}),
    "mistral": _by_format({}, {}),
    "openai_responses": _by_format(
        _OPENAI,
        {"reasoning": {"effort": "low", "summary": "auto"}},
        chat={"reasoning_effort": "medium"},
    ),
    "azure": _by_format({"reasoning_effort": "medium"}, {"reasoning_effort": "low"}, responses=_OPENAI),
    "anthropic": _by_format(*_BUDGETS),
    "bedrock": _by_format(*({"additionalModelRequestFields": budget} for budget in _BUDGETS)),
    "gemini": _by_format(
        *(
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": level, "includeThoughts": True}}}
            for level in ("MEDIUM", "LOW")
        )
    ),
    "vertex": _by_format(
        *(
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": tokens, "includeThoughts": True}}}
            for tokens in (8_192, 1_024)
        )
    ),
    "deepseek": _by_format(
        *({"thinking": {"type": "enabled"}, "reasoning_effort": effort} for effort in ("high", "low"))
    ),
    "qwen": _by_format(*({"enable_thinking": True, "thinking_budget": tokens} for tokens in (16_384, 1_024))),
}
_EFFORT_WORDS = {"reasoning", "reasoning_effort", "thinking", "enable_thinking", "thinking_budget"}
# What a client learns was left out, by its own name.
EFFORT_PARAM = {"chat": "reasoning_effort", "messages": "thinking", "responses": "reasoning"}
# OpenAI's chat completions show no thoughts, whoever serves them.
_HIDES_THOUGHTS = {
    *((protocol, name) for protocol in ("openai", "mistral") for name in EFFORT_PARAM),
    ("openai_responses", "chat"),
    ("azure", "chat"),
    ("azure", "messages"),
}
# Converse does not count them.
COUNTS_NO_THOUGHTS = ("bedrock", "openai", "mistral")


def thinks(protocol: str, name: str) -> bool:
    """Tell whether the model can be told how much to think."""
    return bool(EFFORTS[protocol][name])


def thought(protocol: str, name: str) -> str:
    """Return what a client sees of the thoughts."""
    return "" if (protocol, name) in _HIDES_THOUGHTS else THOUGHT


def holds_effort(body: dict[str, Any], protocol: str, name: str) -> bool:
    """Tell whether a request says how much is to be thought, or nothing at all where the model does not think."""
    words = EFFORTS[protocol][name]
    return _holds(body, words) if words else not _EFFORT_WORDS & body.keys()


def _holds(whole: Any, part: Any) -> bool:
    if not isinstance(part, dict):
        return bool(whole == part)
    return isinstance(whole, dict) and all(key in whole and _holds(whole[key], part[key]) for key in part)


# What cannot be said: a schema to DeepSeek.
SCHEMA_REFUSED = {
    "deepseek": "This model cannot be held to a schema. Use 'json_object' and describe the schema in the prompt."
}
SCHEMA_PARAM = {"chat": "response_format", "messages": "output_config", "responses": "text.format"}


def schema_in(body: dict[str, Any], protocol: str) -> Any:
    """Return the schema that a request holds an answer to, in its protocol's words."""
    match protocol:
        case "bedrock":
            shape = body["outputConfig"]["textFormat"]
            return json.loads(shape["structure"]["jsonSchema"]["schema"])
        case "gemini" | "vertex":
            return body["generationConfig"]["responseJsonSchema"]
        case "anthropic" if "tools" in body:
            # Models from before schemas fill in the arguments of a tool that they have to call.
            assert body["tool_choice"] == {"type": "tool", "name": body["tools"][0]["name"]}
            return body["tools"][0]["input_schema"]
        case "anthropic":
            return body["output_config"]["format"]["schema"]
        case _ if "text" in body:
            return _strict(body["text"]["format"])
        case _:
            return _strict(body["response_format"]["json_schema"])


def _strict(wanted: dict[str, Any]) -> Any:
    assert wanted["strict"] is True
    assert wanted["name"] in {"town", "answer"}
    return wanted["schema"]


def fits_schema(made: Any) -> bool:
    """Tell whether an answer is what the schema wants."""
    return set(made) == {"city", "people"} and isinstance(made["people"], int)


# Who has a field for refusals; elsewhere a model refuses in plain words.
_REFUSES_APART = ("openai", "openai_responses", "azure")
_FILTERS = ("anthropic", "bedrock", "gemini", "vertex", "deepseek")


def refusal(protocol: str, name: str) -> tuple[str, str, str]:
    """Return the reason, text and refusal of an answer of a model that refuses."""
    reason = "content_filter" if protocol in _FILTERS else "stop"
    is_apart = protocol in _REFUSES_APART and name != "messages"
    return (reason, "", REFUSAL) if is_apart else (reason, REFUSAL, "")


def refusal_of(told: str, *, is_stream: bool) -> str:
    """Return what stands in a field of its own for refusals, in either of OpenAI's formats."""
    if is_stream:
        said = list(events(told))
        deltas = [choice["delta"] for each in said for choice in each.get("choices", ())]
        told_apart = [each["delta"] for each in said if each.get("type") == "response.refusal.delta"]
        return "".join([*(delta.get("refusal") or "" for delta in deltas), *told_apart])
    body = json.loads(told)
    messages = [choice["message"] for choice in body.get("choices", ())]
    parts = [part for item in body.get("output", ()) for part in item.get("content", ())]
    return "".join(each.get("refusal") or "" for each in (*messages, *parts))


# What the sandbox says of a bad request where it is told to, and who of the providers names the field.
COMPLAINTS = {
    "gemini": "Request contains an invalid argument.",
    "vertex": "Request contains an invalid argument.",
    "deepseek": "The request was refused.",
    "qwen": "The request was refused.",
    "mistral": "The request was refused.",
}
COMPLAINT = "The sandbox was told to refuse this request."
NAMES_THE_FIELD = ("openai", "openai_responses", "azure", "qwen")
