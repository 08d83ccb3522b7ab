"""A task for an agent on the command line, and what holds once it is done."""

from __future__ import annotations

import json
from pathlib import Path

from tests.clients.environments import CannotInstall, give_up, node, node_folder_of
from tests.live.product import LiveProduct

FAREWELL = "The file is written."
COMMAND = "printf 'Paris is lovely' > written.txt"


def task(tool: str, **arguments: str) -> str:
    """Return a prompt on which the simulator calls a tool once and then says goodbye."""
    script = json.dumps(f"call:{tool} {json.dumps(arguments)}|text:{FAREWELL}")
    return f"[[sandbox script={script}]] Write a file."


def installed(environment: str, program: str) -> list[str]:
    """Return what starts an agent; skip without it, but never in CI."""
    try:
        return [node(), str(node_folder_of(environment) / "node_modules" / program)]
    except CannotInstall as exc:
        give_up(f"{environment} is not tested: {exc}.")


def assert_written(folder: Path) -> None:
    """Hold that the agent's tool ran."""
    assert (folder / "written.txt").read_text() == "Paris is lovely"


def assert_charged(product: LiveProduct, organization: str, *, given: int, produced: int) -> None:
    """Hold that the two calls are charged for what the agent counted."""
    product.wait_settled(organization, rows=2)
    rows = product.usage_rows(organization)
    assert [row["outcome"] for row in rows] == ["completed", "completed"]
    assert sum(row["input_tokens"] for row in rows) == given
    assert sum(row["output_tokens"] for row in rows) == produced
