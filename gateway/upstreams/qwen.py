"""Qwen's dialect of chat completions, in DashScope's compatible mode.

Thoughts are switched by ``enable_thinking``; while they are on, many models answer only as a stream.
"""

from __future__ import annotations

from typing import Any

from catalog.snapshot import Model
from gateway.form import Form, Reasoning
from gateway.upstreams.openai_chat_dialect import Dialect, effort_of

_THINKING = frozenset({"thinks_by_default", "always_reasons"})
# Tokens of thought for an effort; none for as many as the model likes.
_BUDGETS = {"minimal": 1_024, "low": 4_096, "medium": 16_384}


def _reasoning(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    effort = effort_of(reasoning)
    if effort is None and reasoning.is_enabled is None:
        return {}
    if "reasoning" not in model.capabilities or (effort == "none" and "always_reasons" in model.traits):
        return None
    if effort == "none":
        return {"enable_thinking": False}
    budget = reasoning.budget_tokens or _BUDGETS.get(effort or "")
    return {"enable_thinking": True} | ({"thinking_budget": budget} if budget else {})


def _amend(fields: dict[str, Any], form: Form, model: Model) -> None:
    """Ask for a stream where nothing else is answered; the adapter puts it together for who asked for a whole."""
    if "streams_only" in model.traits or fields.get("enable_thinking"):
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True}
    _bound_thoughts(fields, model)


def _bound_thoughts(fields: dict[str, Any], model: Model) -> None:
    # The bound on an answer is none on the thoughts before it, and those are paid for, too.
    bound = fields.get("max_tokens")
    thinks = fields.get("enable_thinking", bool(model.traits & _THINKING))
    if bound is not None and thinks and "reasoning" in model.capabilities:
        fields["thinking_budget"] = min(bound, fields.get("thinking_budget", bound))


QWEN = Dialect(
    takes=frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "presence_penalty",
            "repetition_penalty",
            "seed",
            "parallel_tool_calls",
        }
    ),
    is_strict=True,
    max_choices=4,
    has_cache_control=True,
    bounds_thoughts_apart=True,
    prefix_field="partial",
    search_field="enable_search",
    reasoning=_reasoning,
    amend=_amend,
)
