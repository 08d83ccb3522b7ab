"""How the servers that speak chat completions differ, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from catalog.snapshot import Model
from gateway.form import Form, Reasoning

# Fields of the form that only tune an answer, and which most servers know under the same name.
COMMON = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed",
        "logit_bias", "user", "parallel_tool_calls",
    }
)  # fmt: skip

SAMPLING = ("temperature", "top_p", "top_k")
TUNING = (
    *SAMPLING, "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed", "logit_bias",
    "verbosity", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls",
)  # fmt: skip

# Changes the fields of a request in place, as the last step; raises ``CannotExpress``.
Amend = Callable[[dict[str, Any], Form, Model], None]

# Writes how much is to be thought; ``None`` where the server has no word for what is asked.
WriteReasoning = Callable[[Reasoning, Model], dict[str, Any] | None]


def effort_of(reasoning: Reasoning) -> str | None:
    """Return the effort that was asked, or the one nearest to a budget; ``none`` where thoughts are forbidden."""
    if reasoning.is_enabled is False or reasoning.effort == "none":
        return "none"
    if reasoning.effort is None and reasoning.budget_tokens:
        return (
            "low"
            if reasoning.budget_tokens <= 4_096
            else "medium"
            if reasoning.budget_tokens <= 16_384
            else "high"
        )
    return reasoning.effort


def levels(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    """Write ``reasoning_effort`` for servers that know only ``none`` and three levels."""
    effort = effort_of(reasoning)
    if effort is None:
        return {}
    if "reasoning" not in model.capabilities or (effort == "none" and "always_reasons" in model.traits):
        return None
    return {"reasoning_effort": {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)}


def switch(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    """Write ``thinking`` for servers where it can only be on or off."""
    effort = effort_of(reasoning)
    if effort is None and reasoning.is_enabled is None:
        return {}
    if "reasoning" not in model.capabilities or (effort == "none" and "always_reasons" in model.traits):
        return None
    return {"thinking": {"type": "disabled" if effort == "none" else "enabled"}}


def leave(fields: dict[str, Any], form: Form, model: Model) -> None:
    """Leave a request as it is."""


def plain_effort(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    """Write ``reasoning_effort``, as OpenAI has it."""
    effort = effort_of(reasoning)
    if effort is None:
        return {}
    can_obey = "reasoning" in model.capabilities and not (
        effort == "none" and "always_reasons" in model.traits
    )
    return {"reasoning_effort": effort} if can_obey else None


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of server takes and gives back beyond the common core of chat completions."""

    # OpenAI's newer models refuse max_tokens; others often know nothing else.
    bound_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    # Which fields that only tune are known; and their names where they differ.
    takes: frozenset[str] = COMMON
    names: dict[str, str] = {}
    # A server of someone's own, which gets what the caller wrote.
    is_own: bool = False
    # Its own fields beyond those of OpenAI, passed on as the caller wrote them.
    vendor: frozenset[str] = frozenset()
    # Unknown fields of a message are refused, so even a chat client's request is written anew.
    is_strict: bool = False
    # Answers hold nothing that clients of OpenAI cannot read.
    has_plain_answers: bool = True
    max_choices: int = 8
    has_logprobs: bool = True
    # Streams report the usage when asked to; where this is unknown they do so by themselves.
    has_stream_options: bool = True
    has_padding: bool = False
    has_custom_tools: bool = False
    has_allowed_tools: bool = False
    has_files: bool = False
    has_refusals: bool = False
    has_names: bool = True
    has_cache_control: bool = False
    # Tool calls carry a signature that must come back, in ``extra_content.google``.
    has_google_seals: bool = False
    # Messages may hold lists of parts even where all of them are text.
    has_text_parts: bool = True
    # The message's field in which earlier thoughts go back, and whether they must.
    thoughts_field: Literal["", "reasoning_content", "reasoning", "reasoning_details"] = ""
    needs_thoughts: bool = False
    # The bound on an answer is none on its thoughts, which have as large a one of their own.
    bounds_thoughts_apart: bool = False
    # An answer that was begun is continued only when the message says so under this name.
    prefix_field: str = ""
    search_field: Literal["", "web_search_options", "enable_search"] = ""
    # Ids of tool calls must have this many letters and digits.
    call_id_size: int = 0
    reasoning: WriteReasoning = plain_effort
    amend: Amend = leave
    # Made from ``takes``: the fields that tune and must be left out.
    refuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make ``refuses``, because most requests name none of these."""
        refused = tuple(name for name in TUNING if name not in self.takes)
        msgspec.structs.force_setattr(self, "refuses", refused)
