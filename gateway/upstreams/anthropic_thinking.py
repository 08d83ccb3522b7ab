"""How much Anthropic's models think, and what goes with it: effort, budgets and sampling."""

from __future__ import annotations

from typing import Any

from catalog.snapshot import Model
from gateway.form import Effort, Form, Reasoning

_LEAST_BUDGET = 1_024
# What a budget is for models that take no effort.
_BUDGETS: dict[Effort, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
# The other way round, for models that take no budget.
_EFFORTS: tuple[tuple[int, Effort], ...] = ((2_048, "low"), (8_192, "medium"))


class Thinking:
    """What is said upstream about thoughts: ``fields`` of the body, and what had to be left out."""

    __slots__ = ("dropped", "effort", "fields", "is_on")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.effort = ""
        self.is_on = False
        self.dropped: list[str] = []

    def leave_out(self) -> Thinking:
        """Note that what was asked about thoughts is left out."""
        self.dropped.append("reasoning")
        return self


def thinking_of(form: Form, model: Model, max_tokens: int, *, may_budget: bool) -> Thinking:
    """Return what to say about thoughts; ``may_budget`` is false where the turns rule a budget out."""
    said, asked = Thinking(), form.reasoning
    if asked.is_enabled is False or asked.effort == "none":
        return _switched_off(said, model)
    is_asked = asked.is_enabled is True or asked.effort is not None or asked.budget_tokens is not None
    if not is_asked:
        said.is_on = "thinks_by_default" in model.traits
        return said
    if "reasoning" not in model.capabilities:
        return said.leave_out()
    if "adaptive_thinking" in model.traits:
        return _adaptive(said, asked)
    budget = _budget(asked, max_tokens)
    if budget < _LEAST_BUDGET or not may_budget:
        return said.leave_out()
    said.is_on = True
    said.fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return said


def _switched_off(said: Thinking, model: Model) -> Thinking:
    if "always_reasons" in model.traits:
        said.is_on = True
        return said.leave_out()
    if "thinks_by_default" in model.traits:
        said.fields["thinking"] = {"type": "disabled"}
    return said


def _adaptive(said: Thinking, asked: Reasoning) -> Thinking:
    said.is_on = True
    # Newer models show no thoughts unless asked to.
    said.fields["thinking"] = {"type": "adaptive", "display": "summarized"}
    if asked.effort is not None:
        said.effort = "low" if asked.effort == "minimal" else asked.effort
    elif asked.budget_tokens is not None:
        budget = asked.budget_tokens
        said.effort = next((effort for most, effort in _EFFORTS if budget <= most), "high")
    return said


def _budget(asked: Reasoning, max_tokens: int) -> int:
    """Return a budget that leaves room for the answer: it must be below the maximum of both."""
    if asked.budget_tokens is not None:
        return min(asked.budget_tokens, max_tokens - 1)
    return min(_BUDGETS[asked.effort or "medium"], max_tokens * 3 // 4)
