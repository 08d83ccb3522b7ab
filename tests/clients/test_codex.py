"""The Codex CLI finishes a task with a tool, on a model of every provider's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.agents import COMMAND, FAREWELL, assert_charged, assert_written, installed, task
from tests.clients.running import PROGRAMS, run_in
from tests.clients.snippets import Values, documented
from tests.live.product import LiveProduct

# The first test of a run starts the product and may install the agent.
pytestmark = pytest.mark.timeout(420)


def test_codex_finishes_a_task(product: LiveProduct, model: str, tmp_path: Path) -> None:
    organization, key = product.new_customer()
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    settings = documented(PROGRAMS / "codex.toml", Values(product.base_url, key, model, ""))
    (home / "config.toml").write_text(settings)
    command = [
        *installed("codex", "@openai/codex/bin/codex.js"),
        *("exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access"),
        # It is to speak to the product and to nobody else.
        *("-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false"),
        *("-c", "features.plugins=false"),
        task("exec_command", cmd=COMMAND),
    ]

    done = run_in(work, command, {"HOME": str(home), "CODEX_HOME": str(home), "FASTANCHOR_API_KEY": key})

    assert_written(work)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["text"] for item in _items(events) if item["type"] == "agent_message"] == [FAREWELL]
    (usage,) = [event["usage"] for event in events if event["type"] == "turn.completed"]
    assert_charged(product, organization, given=usage["input_tokens"], produced=usage["output_tokens"])


def _items(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["item"] for event in events if event["type"] == "item.completed"]
