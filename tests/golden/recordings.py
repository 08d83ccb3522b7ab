"""Recorded exchanges with real providers, kept beside the project and not in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.golden.facts import Facts

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "recordings"
# What each folder's provider speaks; DeepSeek's has two protocols.
ADAPTER_OF = {
    "anthropic": "anthropic",
    "compatible": "openai",
    "deepseek": "deepseek",
    "gemini": "gemini",
    "openai-chat": "openai",
    "openai-responses": "openai_responses",
}
# By the host of a recorded exchange: the provider, as the catalog calls it.
PROVIDER_OF = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "api.z.ai": "zai",
    "europe-west4-aiplatform.googleapis.com": "google",
    "generativelanguage.googleapis.com": "google",
    "openrouter.ai": "openrouter",
}
FORMAT_OF = {
    "anthropic": "messages",
    "gemini": "gemini",
    "vertex": "gemini",
    "openai_responses": "responses",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange: a parsed request, and the answer as JSON or as the text of its stream."""

    name: str
    adapter: str
    provider: str
    is_stream: bool
    status: int
    request: Any
    response: Any
    # What is known of it without reading it.
    says: Facts | None = None

    @property
    def dialect(self) -> str:
        """Return which of the shapes in ``facts`` its request and answer have."""
        return FORMAT_OF.get(self.adapter, "chat")

    @property
    def body(self) -> bytes:
        """Return the answer as it came over the wire."""
        match self.response:
            case bytes():
                return self.response
            case str():
                return self.response.encode()
            case _:
                return json.dumps(self.response).encode()


def recordings() -> list[Recording]:
    """Return all recorded exchanges."""
    return [_read(path) for path in sorted(FOLDER.glob("*/*.json"))]


def _read(path: Path) -> Recording:
    told = json.loads(path.read_text(encoding="utf-8"))
    host, _, _ = told["endpoint"].partition("/")
    adapter = ADAPTER_OF[path.parent.name]
    if told["endpoint"].endswith("/responses"):
        adapter = "openai_responses"
    elif host.endswith("aiplatform.googleapis.com"):
        adapter = "vertex"
    return Recording(
        name=f"{path.parent.name}/{path.name.split('.')[0]}",
        adapter=adapter,
        provider=PROVIDER_OF[host],
        is_stream=path.name.endswith(".stream.json"),
        status=told["status"],
        request=told["request"],
        response=told["response"],
    )


def params(chosen: list[Recording]) -> list[Any]:
    """Return test parameters, or one that skips where there are no recordings."""
    if not chosen:
        return [pytest.param(None, marks=pytest.mark.skip(reason="recordings are not beside the project"))]
    return [pytest.param(each, id=each.name) for each in chosen]
