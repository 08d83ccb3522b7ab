"""The dialects of chat completions, by provider: the only place that knows which server differs in what.

What is not listed is a server of someone's own, such as vLLM or Ollama: it gets what the caller wrote.
"""

from __future__ import annotations

from typing import Any

from catalog.snapshot import Channel, Model
from gateway.form import Form, Reasoning
from gateway.upstreams.deepseek import DEEPSEEK
from gateway.upstreams.openai_chat_dialect import COMMON, Dialect, effort_of, levels, switch
from gateway.upstreams.qwen import QWEN

_BASIC = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"})

_OPENAI_ONLY = frozenset({"verbosity", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})

PLAIN = Dialect(takes=COMMON | _OPENAI_ONLY, is_own=True)

OPENAI = Dialect(
    bound_name="max_completion_tokens",
    takes=_BASIC | _OPENAI_ONLY | {"logit_bias", "user", "parallel_tool_calls"},
    has_padding=True,
    has_custom_tools=True,
    has_allowed_tools=True,
    has_files=True,
    has_refusals=True,
    search_field="web_search_options",
)  # fmt: skip


def _google_effort(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    fields = levels(reasoning, model)
    # It knows this one level more.
    return {"reasoning_effort": "minimal"} if fields and reasoning.effort == "minimal" else fields


def _mistral_effort(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    effort = effort_of(reasoning)
    if effort is None:
        return {}
    if "reasoning" not in model.capabilities or "always_reasons" in model.traits:
        return None
    return {"reasoning_effort": "none" if effort == "none" else "high"}


def _groq_effort(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    fields = levels(reasoning, model)
    if fields and "thinks_by_default" in model.traits:
        # Such models know only on and off.
        return fields if fields["reasoning_effort"] == "none" else {"reasoning_effort": "default"}
    return fields


def _groq_format(fields: dict[str, Any], form: Form, model: Model) -> None:
    # Else thoughts would stand in the text, between marks that every model writes differently.
    if "reasoning" in model.capabilities and fields.get("reasoning_effort") != "none":
        fields.setdefault("reasoning_format", "parsed")


def _openrouter_reasoning(reasoning: Reasoning, model: Model) -> dict[str, Any] | None:
    effort = effort_of(reasoning)
    if effort is None and reasoning.is_enabled is None:
        return {}
    if reasoning.budget_tokens and effort != "none":
        return {"reasoning": {"max_tokens": reasoning.budget_tokens}}
    return {"reasoning": {"effort": effort} if effort else {"enabled": True}}


# By the slug of a provider, or the name of the adapter where a channel's adapter says what is spoken.
DIALECTS: dict[str, Dialect] = {
    "openai": OPENAI,
    "openai_responses": OPENAI,
    "azure": OPENAI,
    # A developer's machine answers as production would.
    "sandbox": OPENAI,
    "deepseek": DEEPSEEK,
    "qwen": QWEN,
    "alibaba": QWEN,
    "google": Dialect(
        takes=frozenset({"temperature", "top_p"}),
        has_google_seals=True,
        has_files=True,
        reasoning=_google_effort,
    ),
    "mistral": Dialect(
        takes=_BASIC | {"parallel_tool_calls"},
        names={"seed": "random_seed"},
        is_strict=True,
        # Its thoughts are parts of a list in the place of the text.
        has_plain_answers=False,
        has_logprobs=False,
        has_stream_options=False,
        has_names=False,
        prefix_field="prefix",
        call_id_size=9,
        reasoning=_mistral_effort,
    ),
    "groq": Dialect(
        bound_name="max_completion_tokens",
        takes=frozenset({"temperature", "top_p", "seed", "user", "parallel_tool_calls"}),
        vendor=frozenset({"reasoning_format"}),
        is_strict=True,
        max_choices=1,
        has_logprobs=False,
        thoughts_field="reasoning",
        reasoning=_groq_effort,
        amend=_groq_format,
    ),
    "cerebras": Dialect(
        bound_name="max_completion_tokens",
        takes=frozenset({"temperature", "top_p", "seed", "user"}),
        vendor=frozenset({"reasoning_format", "clear_thinking"}),
        is_strict=True,
        max_choices=1,
        reasoning=levels,
    ),
    "openrouter": Dialect(
        takes=COMMON | {"verbosity"},
        has_files=True,
        has_cache_control=True,
        thoughts_field="reasoning_details",
        search_field="web_search_options",
        reasoning=_openrouter_reasoning,
    ),
    "zai": Dialect(
        takes=frozenset({"temperature", "top_p", "user"}),
        max_choices=1,
        has_logprobs=False,
        thoughts_field="reasoning_content",
        reasoning=switch,
    ),
    "moonshot": Dialect(
        takes=_BASIC - {"seed"},
        is_strict=True,
        has_logprobs=False,
        prefix_field="partial",
        thoughts_field="reasoning_content",
        needs_thoughts=True,
        reasoning=switch,
    ),
    "xai": Dialect(
        takes=frozenset({"temperature", "top_p", "seed", "user", "parallel_tool_calls"}),
        reasoning=levels,
    ),
    "together": Dialect(vendor=frozenset({"chat_template_kwargs"}), reasoning=levels),
    "fireworks": Dialect(reasoning=levels),
    "cohere": Dialect(takes=_BASIC, max_choices=1),
    "minimax": Dialect(takes=frozenset({"temperature", "top_p"}), max_choices=1),
}


def dialect_of(channel: Channel) -> Dialect:
    """Return what a channel's server speaks."""
    is_general = channel.adapter in {"openai", "openai_responses"}
    return DIALECTS.get(channel.provider if is_general else channel.adapter, PLAIN)
