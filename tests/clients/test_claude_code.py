"""Claude Code finishes a task with a tool, on a model of every provider's format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.agents import COMMAND, FAREWELL, assert_charged, assert_written, installed, task
from tests.clients.running import PROGRAMS, run_in
from tests.clients.snippets import Values, documented
from tests.live.product import LiveProduct

# The first test of a run starts the product and may install the agent.
pytestmark = pytest.mark.timeout(420)

INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def test_claude_code_finishes_a_task(product: LiveProduct, model: str, tmp_path: Path) -> None:
    organization, key = product.new_customer()
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    values = Values(product.base_url.removesuffix("/v1"), key, model, "")
    settings = documented(PROGRAMS / "claude_code.sh", values)
    command = [
        *installed("claude-code", "@anthropic-ai/claude-code/cli-wrapper.cjs"),
        *("-p", task("Bash", command=COMMAND, description="Write a file")),
        *("--allowedTools", "Bash", "--output-format", "json"),
    ]
    # It is to speak to the product and to nobody else.
    environment = {"HOME": str(home), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}

    done = run_in(work, ["sh", "-c", f'{settings}\nexec "$@"', "sh", *command], environment)

    assert_written(work)
    told = json.loads(done.stdout)
    assert (told["result"], told["is_error"]) == (FAREWELL, False)
    given = sum(told["usage"][part] for part in INPUT)
    assert_charged(product, organization, given=given, produced=told["usage"]["output_tokens"])
