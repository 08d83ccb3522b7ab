"""The dialects of chat completions, by provider: the only place that knows which server differs in what."""

from __future__ import annotations

from catalog.snapshot import Channel
from gateway.upstreams.openai_chat_dialect import Dialect

PLAIN = Dialect()

OPENAI = Dialect(
    bound_name="max_completion_tokens",
    takes=frozenset(
        {
            "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "logit_bias", "verbosity", "user",
            "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls",
        }
    ),
    has_padding=True,
    has_custom_tools=True,
    has_allowed_tools=True,
    has_files=True,
    has_refusals=True,
    search_field="web_search_options",
)  # fmt: skip

# By the slug of a provider, or the name of an adapter where a channel of another provider speaks that dialect.
DIALECTS: dict[str, Dialect] = {"openai": OPENAI}


def dialect_of(channel: Channel) -> Dialect:
    """Return what a channel's server speaks."""
    return DIALECTS.get(channel.provider if channel.adapter == "openai" else channel.adapter, PLAIN)
