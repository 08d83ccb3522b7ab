"""DeepSeek's dialect of chat completions.

Facts: its guide to the thinking mode. Thoughts are on unless switched off; earlier ones must come back on every turn
that called tools; while it thinks, no tool can be forced.
"""

from __future__ import annotations

from typing import Any

from catalog.snapshot import Model
from gateway.form import Form, Reasoning
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_chat_dialect import Dialect, effort_of

_EFFORTS = {"minimal": "low", "low": "low", "medium": "high", "high": "high", "xhigh": "high", "max": "max"}


def _reasoning(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    effort = effort_of(reasoning)
    if effort is None and reasoning.is_enabled is None:
        return {}
    if "reasoning" not in model.capabilities or (effort == "none" and "always_reasons" in model.traits):
        return None
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    fields: dict[str, Any] = {"thinking": {"type": "enabled"}}
    return fields | ({"reasoning_effort": _EFFORTS[effort]} if effort else {})


def _amend(fields: dict[str, Any], form: Form, model: Model) -> None:
    """Refuse what it has no word for, and let a tool be forced."""
    if form.response_format.kind == "json_schema":
        raise CannotExpress(
            "response_format",
            "This model cannot be held to a schema. Use 'json_object' and describe the schema in the prompt.",
        )
    _let_a_tool_be_forced(fields, model)


def _let_a_tool_be_forced(fields: dict[str, Any], model: Model) -> None:
    """Switch the thinking mode off, which refuses to force a tool, unless the caller asked for it."""
    if fields.get("tool_choice", "none") == "none" or "reasoning" not in model.capabilities:
        return
    if fields.get("thinking") == {"type": "disabled"}:
        return
    if "always_reasons" in model.traits or fields.get("thinking"):
        raise CannotExpress(
            "tool_choice",
            "This model cannot be made to call a tool while it thinks. Use 'auto' or disable thinking.",
        )
    fields["thinking"] = {"type": "disabled"}


DEEPSEEK = Dialect(
    takes=frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty"}),
    is_strict=True,
    max_choices=1,
    has_text_parts=False,
    thoughts_field="reasoning_content",
    needs_thoughts=True,
    reasoning=_reasoning,
    amend=_amend,
)
