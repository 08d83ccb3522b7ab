"""Writes ``docs/clients.md`` from the programs that the tests run: ``python -m tests.clients.page``."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.clients.environments import NODE_LOCKS, PYTHON_LOCKS
from tests.clients.running import PROGRAMS
from tests.clients.snippets import Values, documented
from tests.clients.table import FEATURED_MODEL
from tests.live.programs import ROOT

PAGE = ROOT / "docs" / "clients.md"
ORIGIN = "http://127.0.0.1:8000"
KEY = "fa_live_..."

_WIDTH = 118
_LANGUAGES = {".py": "python", ".mjs": "js", ".sh": "sh", ".toml": "toml"}
_INTRODUCTION = f"""\
<!-- Written by `./dev clients --docs` from the programs in tests/clients/programs; do not edit by hand. -->
# Clients

What speaks to OpenAI or Anthropic speaks to FastAnchor: change the base URL and the key, then name any model. All three
formats, chat completions, Responses and Messages, reach every model.

Clients that speak OpenAI's formats take the base URL with `/v1`, `{ORIGIN}/v1`; Anthropic's own without, `{ORIGIN}`.
`GET /v1/models` lists the models.

Each snippet below is part of a program that our tests run with the unmodified client, over a socket, on a model of each
provider: whole answers, streams and tools; refusals on one of them.

<!-- repository -->
`./dev up` prints a base URL and a key for your machine, as used below; `./dev clients` runs the programs.
<!-- end -->"""


@dataclass(frozen=True, slots=True)
class Section:
    """One client: how it is installed and set up. ``versions`` names packages and the environments they are locked in."""

    title: str
    install: str
    programs: tuple[str, ...]
    versions: tuple[tuple[str, str], ...] = ()
    notes: str = ""
    origin: str = f"{ORIGIN}/v1"


SECTIONS = (
    Section(
        "curl",
        "",
        ("curl.sh",),
        notes='Add `-N` and `"stream": true` for a stream.',
    ),
    Section(
        "OpenAI for Python",
        "pip install openai",
        ("openai_chat.py", "openai_responses.py"),
        (("openai", "sdks"), ("openai", "openai-2"), ("openai", "openai-1")),
        "Chat completions and, in the second snippet, Responses. `OPENAI_BASE_URL` and `OPENAI_API_KEY` in the environment "
        "do as well.",
    ),
    Section(
        "OpenAI for Node",
        "npm install openai",
        ("openai_chat.mjs", "openai_responses.mjs"),
        (("openai", "openai-7"), ("openai", "openai-6")),
        "Version 7 needs Node 22 or newer.",
    ),
    Section(
        "Anthropic for Python",
        "pip install anthropic",
        ("anthropic_messages.py",),
        (("anthropic", "sdks"),),
        "`ANTHROPIC_BASE_URL` and `ANTHROPIC_API_KEY` in the environment do as well.",
        ORIGIN,
    ),
    Section(
        "Anthropic for Node",
        "npm install @anthropic-ai/sdk",
        ("anthropic_messages.mjs",),
        (("@anthropic-ai/sdk", "anthropic"),),
        origin=ORIGIN,
    ),
    Section(
        "Vercel AI SDK",
        "npm install ai @ai-sdk/openai-compatible @ai-sdk/openai @ai-sdk/anthropic",
        ("ai_sdk_compatible.mjs", "ai_sdk_openai.mjs", "ai_sdk_anthropic.mjs"),
        (
            ("ai", "ai-sdk"),
            ("@ai-sdk/openai-compatible", "ai-sdk"),
            ("@ai-sdk/openai", "ai-sdk"),
            ("@ai-sdk/anthropic", "ai-sdk"),
            ("ai", "ai-sdk-6"),
        ),
        "One of the three is enough: `@ai-sdk/openai-compatible` speaks chat completions, `@ai-sdk/openai` Responses "
        "(`fastanchor.chat(...)` chat completions), `@ai-sdk/anthropic` Messages.",
    ),
    Section(
        "LangChain",
        "pip install langchain-openai",
        ("langchain_openai_chat.py",),
        (("langchain-openai", "frameworks"),),
        "`use_responses_api=True` chooses Responses; `stream_usage=True` brings the usage of streams.",
    ),
    Section(
        "LlamaIndex",
        "pip install llama-index-llms-openai-like",
        ("llama_index_chat.py",),
        (("llama-index-llms-openai-like", "llama-index"),),
        "`OpenAI` of `llama-index-llms-openai` knows OpenAI's own model names only; `OpenAILike` takes any.",
    ),
    Section(
        "Pydantic AI",
        'pip install "pydantic-ai-slim[openai]"',
        ("pydantic_ai_agent.py",),
        (("pydantic-ai-slim", "frameworks"),),
        "`OpenAIResponsesModel` and `AnthropicModel` (with `AnthropicProvider` and the base URL without `/v1`) work as well.",
    ),
    Section(
        "OpenAI Agents SDK",
        "pip install openai-agents",
        ("openai_agents.py",),
        (("openai-agents", "frameworks"),),
        'It speaks Responses; `set_default_openai_api("chat_completions")` makes it speak chat completions.',
    ),
    Section(
        "Codex CLI",
        "npm install -g @openai/codex",
        ("codex.toml",),
        (("@openai/codex", "codex"),),
        "These lines belong in `~/.codex/config.toml`; the key in the environment: `export FASTANCHOR_API_KEY=fa_live_...`. "
        'Then `codex`, or `codex exec "..."` for a single task.',
    ),
    Section(
        "Claude Code",
        "npm install -g @anthropic-ai/claude-code",
        ("claude_code.sh",),
        (("@anthropic-ai/claude-code", "claude-code"),),
        'Then `claude`, or `claude -p "..."` for a single task. Any model that can call tools will do.',
        ORIGIN,
    ),
)


def page() -> str:
    """Return the whole page."""
    return "\n\n".join([_INTRODUCTION, *map(_section, SECTIONS)]) + "\n"


def _section(section: Section) -> str:
    shown = Values(section.origin, KEY, FEATURED_MODEL, "Hello!")
    parts = [f"## {section.title}"]
    if section.install:
        parts.append(f"```sh\n{section.install}\n```")
    for program in section.programs:
        language = _LANGUAGES[Path(program).suffix]
        parts.append(f"```{language}\n{documented(PROGRAMS / program, shown)}\n```")
    if section.notes:
        parts.append(textwrap.fill(section.notes, _WIDTH, break_on_hyphens=False))
    if section.versions:
        tested = ", ".join(f"{name} {_version(name, where)}" for name, where in section.versions)
        parts.append(textwrap.fill(f"Tested with {tested}.", _WIDTH, break_on_hyphens=False))
    return "\n\n".join(parts)


def _version(package: str, environment: str) -> str:
    """Return the version that is locked."""
    packages = NODE_LOCKS / environment / "package-lock.json"
    if packages.exists():
        locked = json.loads(packages.read_text(encoding="utf-8"))["packages"]
        return str(locked[f"node_modules/{package}"]["version"])
    text = (PYTHON_LOCKS / f"{environment}.txt").read_text(encoding="utf-8")
    return str(re.findall(rf"^{re.escape(package)}==(\S+)", text, flags=re.MULTILINE)[0])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
