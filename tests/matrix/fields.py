"""``python -m tests.matrix.fields``: writes docs/formats.md, what each upstream protocol can be told, by asking it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.errors import InvalidRequest
from gateway.formats.chat import Chat
from gateway.passages.table import passage_for
from gateway.upstreams.base import CannotExpress
from tests.gateway.attempts import attempt, channel, model
from tests.matrix.speakers import PNG

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
PDF = "JVBERi0xLjQKJSVFT0YK"
# Column by column: a channel's adapter and the provider behind it.
PROTOCOLS = {
    "OpenAI": ("openai_responses", "openai", frozenset[str]()),
    "OpenAI, Responses only": ("openai_responses", "openai", frozenset({"responses_only"})),
    "Anthropic": ("anthropic", "anthropic", frozenset[str]()),
    "Gemini": ("gemini", "google", frozenset({"thinking_level"})),
    "Bedrock": ("bedrock", "anthropic", frozenset[str]()),
    "DeepSeek": ("deepseek", "deepseek", frozenset[str]()),
    "Qwen": ("qwen", "alibaba", frozenset[str]()),
    "Mistral": ("openai", "mistral", frozenset[str]()),
    "Groq": ("openai", "groq", frozenset[str]()),
    "other servers": ("openai", "some", frozenset[str]()),
}
_FUNCTION = {"name": "look_up", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}
_TOOLS = [{"type": "function", "function": _FUNCTION}]
_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def _shown(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]}


# Row by row: what is asked, as a chat client writes it.
ASKED: dict[str, dict[str, Any]] = {
    "`max_completion_tokens`": {"max_completion_tokens": 500},
    "`temperature`": {"temperature": 0.5},
    "`top_p`": {"top_p": 0.5},
    "`top_k`": {"top_k": 5},
    "`frequency_penalty`, `presence_penalty`": {"frequency_penalty": 0.5, "presence_penalty": 0.5},
    "`logit_bias`": {"logit_bias": {"5": 1}},
    "`seed`": {"seed": 3},
    "`stop`": {"stop": ["END"]},
    "`n` above 1": {"n": 2},
    "`logprobs`": {"logprobs": True},
    "`tools`": {"tools": _TOOLS},
    "custom tools": {"tools": [{"type": "custom", "custom": {"name": "write"}}]},
    "`tool_choice`: required": {"tools": _TOOLS, "tool_choice": "required"},
    "`tool_choice`: one tool": {
        "tools": _TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
    },
    "`parallel_tool_calls`: false": {"tools": _TOOLS, "parallel_tool_calls": False},
    "`response_format`: json_object": {"response_format": {"type": "json_object"}},
    "`response_format`: json_schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}},
    },
    "`reasoning_effort`": {"reasoning_effort": "high"},
    "`verbosity`": {"verbosity": "low"},
    "picture, base64": _shown({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
    "picture, URL": _shown({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
    "PDF, base64": _shown(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
    ),
    "sound": _shown({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    "`web_search_options`": {"web_search_options": {}},
    "`prompt_cache_key`": {"prompt_cache_key": "a"},
    "`user`": {"user": "a"},
    "`metadata`": {"metadata": {"a": "b"}},
}

_HEAD = """\
<!-- Written by `python -m tests.matrix.fields`, which asks every adapter; do not edit by hand. -->
# What each provider can be told

Any client format reaches any model. What a model's provider cannot be told is handled by one rule:

- **yes**: it is sent, in the protocol's own words.
- **left out**: the answer means the same without it. The header `x-fa-dropped` names it.
- **400**: the answer would not be what was asked for. The error names the parameter.

The table shows a model that can do everything by the catalog; a model that lacks tools, pictures, documents, sound or search answers 400
before any provider is asked (`GET /v1/models` tells what each can do), and models that take no sampling leave it out.
Names are those of chat completions; the other formats follow the same rows under their own names.

"""


def verdict(body: dict[str, Any], adapter: str, provider: str, traits: frozenset[str]) -> str:
    """Return what becomes of a chat completion's body at a channel."""
    said = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]} | body
    try:
        asked = Chat().parse(json.dumps(said).encode(), {})
        one = attempt(
            asked, channel=channel(provider, adapter), model=model(provider=provider, traits=traits)
        )
        has_search = asked.prompt.has_search
        prepared = passage_for(Chat(), one.route, one.model, has_search=has_search).prepare(one)
    except (CannotExpress, InvalidRequest):
        return "400"
    return "left out" if prepared.dropped else "yes"


def page() -> str:
    """Return the page."""
    lines = ["| | " + " | ".join(PROTOCOLS) + " |", "|---" * (len(PROTOCOLS) + 1) + "|"]
    for name, body in ASKED.items():
        cells = [verdict(body, *where) for where in PROTOCOLS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
