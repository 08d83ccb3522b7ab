"""A form as a request of Amazon Bedrock's Converse; shapes: Amazon's reference of ``Converse``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from catalog.snapshot import Model
from gateway import form as f
from gateway.asked import Attempt
from gateway.upstreams.anthropic_schema import enforceable, is_enforceable
from gateway.upstreams.anthropic_thinking import thinking_of
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.bedrock_turns import ORIGIN, Turns, cache_point, thin_out
from gateway.upstreams.tools import Offer, offer, strange_parts
from gateway.upstreams.wire_names import wire_name

_ENCODER = msgspec.json.Encoder()
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
_JSON_ONLY = "Answer with one JSON object and nothing else."
_ASSUMED_MAX_OUTPUT = 4_096


class _Family(msgspec.Struct, frozen=True):
    """What one provider's models take there beyond what Converse has for all."""

    # A prefix can be kept.
    can_cache: bool = False
    # Whose seals of thoughts they read.
    seals: frozenset[str] = frozenset({ORIGIN})
    thinks: Literal["", "as_anthropic", "by_effort"] = ""
    has_top_k: bool = False
    # Newer ones of them refuse temperature and top_p at once.
    samples_once: bool = False
    # They refuse schemas with keywords that cannot be enforced.
    limits_schemas: bool = False


# By the model's provider.
_FAMILIES = {
    "amazon": _Family(can_cache=True),
    # Its seals are the same wherever its models run.
    "anthropic": _Family(
        can_cache=True,
        seals=frozenset({ORIGIN, "anthropic"}),
        thinks="as_anthropic",
        has_top_k=True,
        samples_once=True,
        limits_schemas=True,
    ),
    "openai": _Family(thinks="by_effort"),
}
_COMMON = _Family()
# What only tunes and Converse knows nothing like.
_UNKNOWN = (
    "frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "logit_bias", "seed", "verbosity", "user",
    "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata", "max_tool_calls",
)  # fmt: skip


def write(form: f.Form, attempt: Attempt) -> tuple[bytes, tuple[str, ...]]:
    """Return the body and what was left out; raises ``CannotExpress``."""
    _refuse(form, attempt)
    model = attempt.model
    family = _family(model)
    turns = Turns(can_cache=family.can_cache, seals=family.seals)
    turns.write(form.messages)
    if form.cache and family.can_cache:
        turns.turns[-1]["content"].append(cache_point(form.cache))
    if form.response_format.kind == "json_object":
        turns.system.append({"text": _JSON_ONLY})
    offered = offer(form, model.capabilities, protocol=ORIGIN)
    body: dict[str, Any] = {"messages": turns.turns}
    if turns.system:
        body["system"] = turns.system
    tools = _tools(offered, turns)
    if tools:
        body["toolConfig"] = tools
    thin_out(tools.get("tools", []), turns.system, *(turn["content"] for turn in turns.turns))
    forces = "toolChoice" in tools and "auto" not in tools["toolChoice"]
    dropped = [
        *offered.dropped,
        *strange_parts(form, ORIGIN),
        *(name for name in _UNKNOWN if getattr(form, name)),
        *form.vendor,
    ]
    if form.parallel_tool_calls is False and tools:
        dropped.append("parallel_tool_calls")
    if any(isinstance(tool, f.FunctionTool) and tool.strict for tool in form.tools):
        dropped.append("strict")
    dropped += _tune(body, form, attempt, may_budget=not forces and not _lacks_thoughts(turns.turns))
    return _ENCODER.encode(body), tuple(dict.fromkeys(dropped))


def _family(model: Model) -> _Family:
    return _FAMILIES.get(model.provider, _COMMON)


def _refuse(form: f.Form, attempt: Attempt) -> None:
    if form.choices > 1:
        raise CannotExpress("choices", "This model gives one answer at a time.")
    if form.logprobs:
        raise CannotExpress("logprobs", "This model does not tell the probabilities of its tokens.")
    if form.response_format.kind == "json_schema" and "json_schema" not in attempt.model.capabilities:
        raise CannotExpress("response_format", "This model cannot be held to a JSON schema.")
    is_begun = bool(form.messages) and form.messages[-1].role == "assistant"
    if is_begun and "no_prefill" in attempt.model.traits:
        raise CannotExpress(
            "messages", "The last message must not be the assistant's: this model begins itself."
        )


def _lacks_thoughts(turns: list[dict[str, Any]]) -> bool:
    """Tell whether the last answer called tools without the thoughts that have to stand in front of the calls."""
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or "reasoningContent" in last["content"][0]:
        return False
    return last is turns[-1] or any("toolUse" in block for block in last["content"])


def _tools(offered: Offer, turns: Turns) -> dict[str, Any]:
    has_calls = any(
        "toolUse" in block or "toolResult" in block for turn in turns.turns for block in turn["content"]
    )
    choice = offered.choice
    functions = [tool for tool in offered.tools if isinstance(tool, f.FunctionTool)]
    if choice.names:
        functions = [tool for tool in functions if tool.name in choice.names]
    if choice.mode == "none" or not functions:
        if has_calls and choice.mode == "none" and functions:
            raise CannotExpress(
                "tool_choice", "This model cannot be kept from calling tools that it has called before."
            )
        if has_calls:
            raise CannotExpress("tools", "Name the tools of the earlier calls again: this model needs them.")
        return {}
    return {"tools": [spec for tool in functions for spec in _specs(tool, turns)]} | _choice(
        choice, functions
    )


def _choice(choice: f.ToolChoice, functions: list[f.FunctionTool]) -> dict[str, Any]:
    if choice.mode != "required":
        return {}
    if len(functions) == 1 and choice.names:
        named = wire_name(functions[0].name, functions[0].namespace)
        return {"toolChoice": {"tool": {"name": named}}}
    return {"toolChoice": {"any": {}}}


def _specs(tool: f.FunctionTool, turns: Turns) -> list[dict[str, Any]]:
    schema: Any = None if tool.parameters is None else msgspec.json.decode(tool.parameters)
    if not isinstance(schema, dict) or not schema:
        schema = _NO_PARAMETERS
    spec: dict[str, Any] = {
        "name": wire_name(tool.name, tool.namespace),
        "inputSchema": {"json": schema if "type" in schema else {"type": "object"} | schema},
    }
    if tool.description:
        spec["description"] = tool.description
    return [{"toolSpec": spec}, *turns.mark(tool)]


def _tune(body: dict[str, Any], form: f.Form, attempt: Attempt, *, may_budget: bool) -> list[str]:
    """Write bounds, sampling, the answer's shape and how much is thought; return what was left out."""
    own = attempt.model.max_output
    wanted = attempt.max_output or own or _ASSUMED_MAX_OUTPUT
    config: dict[str, Any] = {"maxTokens": min(wanted, own) if own else wanted}
    if form.stop:
        config["stopSequences"] = form.stop
    body["inferenceConfig"] = config
    is_thinking, dropped = _think(body, form, attempt, config["maxTokens"], may_budget=may_budget)
    if form.response_format.kind == "json_schema" and form.response_format.schema is not None:
        body.setdefault("outputConfig", {})["textFormat"] = _text_format(
            form.response_format, _family(attempt.model)
        )
    return dropped + _sample(body, form, attempt, is_thinking=is_thinking)


def _think(
    body: dict[str, Any], form: f.Form, attempt: Attempt, max_tokens: int, *, may_budget: bool
) -> tuple[bool, list[str]]:
    match _family(attempt.model).thinks:
        case "as_anthropic":
            thinking = thinking_of(form, attempt.model, max_tokens, may_budget=may_budget)
            if thinking.fields:
                body["additionalModelRequestFields"] = dict(thinking.fields)
            if thinking.effort:
                body["outputConfig"] = {"effort": thinking.effort}
            return thinking.is_on, thinking.dropped
        case "by_effort" if form.reasoning.effort in {"low", "medium", "high"}:
            body["additionalModelRequestFields"] = {"reasoning_effort": form.reasoning.effort}
            return False, []
        case _:
            asked = form.reasoning
            return False, [
                "reasoning"
            ] if asked.effort or asked.budget_tokens or asked.is_enabled is not None else []


def _text_format(wanted: f.ResponseFormat, family: _Family) -> dict[str, Any]:
    assert wanted.schema is not None
    shape = {"schema": bytes(wanted.schema).decode()}
    if family.limits_schemas and is_enforceable(schema := msgspec.json.decode(wanted.schema)):
        shape["schema"] = _ENCODER.encode(enforceable(schema)).decode()
    if wanted.name:
        shape["name"] = wanted.name
    if wanted.description:
        shape["description"] = wanted.description
    return {"type": "json_schema", "structure": {"jsonSchema": shape}}


def _sample(body: dict[str, Any], form: f.Form, attempt: Attempt, *, is_thinking: bool) -> list[str]:
    asked = {
        name: value
        for name in ("temperature", "top_p", "top_k")
        if (value := getattr(form, name)) is not None
    }
    if form.top_k is not None and form.top_k <= 0:
        # How other servers say "all of them".
        del asked["top_k"]
    if is_thinking or "no_sampling" in attempt.model.traits:
        return list(asked)
    dropped: list[str] = []
    config, family = body["inferenceConfig"], _family(attempt.model)
    if "temperature" in asked:
        # Converse goes up to 1.
        config["temperature"] = min(asked["temperature"], 1.0)
    if "top_p" in asked and family.samples_once and "temperature" in asked:
        dropped.append("top_p")
    elif "top_p" in asked:
        config["topP"] = asked["top_p"]
    if "top_k" in asked and family.has_top_k:
        body.setdefault("additionalModelRequestFields", {})["top_k"] = asked["top_k"]
    elif "top_k" in asked:
        dropped.append("top_k")
    return dropped
