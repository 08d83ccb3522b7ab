"""``generationConfig`` of the Gemini protocol: bounds, sampling, the answer's shape, and how much is thought."""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.snapshot import Model
from gateway.asked import Attempt
from gateway.form import Form, Reasoning
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.gemini_schema import heard

MAX_STOPS = 5
# What only tunes and Gemini knows nothing like; its current models refuse penalties.
_UNKNOWN = (
    "frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "logit_bias", "verbosity", "user",
    "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata", "max_tool_calls",
)  # fmt: skip
_SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}
# Google's own mapping, at its endpoint for OpenAI's clients.
_BUDGETS = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM"}
# The range that every model with a budget accepts.
_LEAST_BUDGET, _MOST_BUDGET = 512, 24_576
_DYNAMIC = -1


def generation_config(form: Form, attempt: Attempt, *, has_tools: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration and what was left out; raises ``CannotExpress``."""
    model = attempt.model
    config, dropped = _sampling(form, model)
    dropped += [*(name for name in _UNKNOWN if getattr(form, name)), *form.vendor]
    if attempt.max_output is not None:
        config["maxOutputTokens"] = attempt.max_output
    if form.choices > 1:
        config["candidateCount"] = form.choices
    if len(form.stop) > MAX_STOPS:
        raise CannotExpress("stop", f"This model takes at most {MAX_STOPS} stop sequences.")
    if form.stop:
        config["stopSequences"] = form.stop
    if form.seed is not None:
        # Google's seeds have 32 bits; equal seeds stay equal.
        config["seed"] = form.seed & 0x7FFF_FFFF
    if form.logprobs:
        config |= {"responseLogprobs": True} | ({"logprobs": form.top_logprobs} if form.top_logprobs else {})
    config |= _shape(form, can_mix=not has_tools or "thinking_level" in model.traits)
    config |= _thinking(form.reasoning, model, dropped)
    return config, dropped


def _sampling(form: Form, model: Model) -> tuple[dict[str, Any], list[str]]:
    asked = {name: value for name in _SAMPLING if (value := getattr(form, name)) is not None}
    if form.top_k is not None and form.top_k <= 0:
        # Elsewhere that means all of them, which is what Gemini does unasked.
        del asked["top_k"]
    if "no_sampling" in model.traits:
        return {}, list(asked)
    return {_SAMPLING[name]: value for name, value in asked.items()}, []


def _shape(form: Form, *, can_mix: bool) -> dict[str, Any]:
    wanted = form.response_format
    if wanted.kind == "text":
        return {}
    if not can_mix:
        raise CannotExpress(
            "response_format",
            "This model cannot be held to JSON while it is offered tools. Leave out one of the two.",
        )
    if wanted.schema is None:
        return {"responseMimeType": "application/json"}
    schema = heard(msgspec.json.decode(wanted.schema))
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _thinking(reasoning: Reasoning, model: Model, dropped: list[str]) -> dict[str, Any]:
    is_off = reasoning.is_enabled is False or reasoning.effort == "none" or reasoning.budget_tokens == 0
    is_on = bool(reasoning.is_enabled or reasoning.effort or reasoning.budget_tokens or reasoning.summary)
    if not (is_off or is_on):
        return {}
    if "reasoning" not in model.capabilities:
        if not is_off:
            dropped.append("reasoning")
        return {}
    if is_off and "always_reasons" in model.traits:
        dropped.append("reasoning")
    amount = (
        _level(reasoning, model, is_off=is_off)
        if _has_levels(model)
        else _budget(reasoning, model, is_off=is_off)
    )
    config = amount | ({} if is_off else {"includeThoughts": True})
    return {"thinkingConfig": config} if config else {}


def _has_levels(model: Model) -> bool:
    return "thinking_level" in model.traits


def _level(reasoning: Reasoning, model: Model, *, is_off: bool) -> dict[str, Any]:
    effort: str | None = reasoning.effort
    if is_off:
        effort = "minimal"
    elif effort is None and reasoning.budget_tokens:
        effort = next(
            (name for name in ("low", "medium") if reasoning.budget_tokens <= _BUDGETS[name]), "high"
        )
    if effort is None:
        return {}
    if effort == "minimal" and "always_reasons" in model.traits:
        effort = "low"
    return {"thinkingLevel": _LEVELS.get(effort, "HIGH")}


def _budget(reasoning: Reasoning, model: Model, *, is_off: bool) -> dict[str, Any]:
    if is_off:
        return {"thinkingBudget": _LEAST_BUDGET if "always_reasons" in model.traits else 0}
    budget = reasoning.budget_tokens
    if budget is None and reasoning.effort:
        budget = _BUDGETS.get(reasoning.effort, _MOST_BUDGET)
    if budget is not None:
        return {"thinkingBudget": min(_MOST_BUDGET, max(_LEAST_BUDGET, budget))}
    is_on_anyway = {"thinks_by_default", "always_reasons"} & model.traits
    return {} if is_on_anyway else {"thinkingBudget": _DYNAMIC}
