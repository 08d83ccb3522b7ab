"""Runs the programs that drive the clients, each once for all models and cases."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.environments import CLIENTS as FOLDER, node_command, python_of
from tests.clients.table import MODELS, SEALS, Client
from tests.live.product import LiveProduct

PROGRAMS = FOLDER / "programs"
SENTENCE = "The quick brown fox jumps over the lazy dog."
VERDICT = "Take a coat, it is only 18 degrees."
THOUGHT = "It may be cold there."
ANSWERED = ("text", "stream", "tools", "streamed_tools")
REFUSED = ("wrong_key", "unknown_model", "bad_request")

_PROGRAM_S = 150
_WRONG_KEY = "fa_live_nobody"
# All that a program gets of our own environment: nothing of ours may steer a client.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR")

Seen = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What one client saw, by model and case."""

    client: Client
    organization: str
    seen: Mapping[str, Seen]

    def of(self, model: str, case: str) -> Seen:
        """Return what the client saw; a case that threw fails here with its trace."""
        saw = self.seen[f"{model}:{case}"]
        assert "thrown" not in saw, saw["trace"]
        return saw

    def refusal(self, case: str) -> Seen:
        """Return what the client threw."""
        return self.seen[f"refusal:{case}"]


def report_of(client: Client, product: LiveProduct, folder: Path) -> Report:
    """Run a client's program on every model and case; raises ``CannotInstall``."""
    organization, key = product.new_customer()
    seen = folder / "seen.jsonl"
    seen.touch()
    environment = {
        "BASE_URL": product.base_url.removesuffix("/v1") + client.base_path,
        "API_KEY": key,
        "WRONG_KEY": _WRONG_KEY,
        "PLAN": json.dumps([*_questions(client), *_refusals()]),
        "SEEN": str(seen),
        "HOME": str(folder),
        **client.settings,
    }
    run_in(folder, _command(client, folder), environment)
    lines = [json.loads(line) for line in seen.read_text(encoding="utf-8").splitlines()]
    return Report(client, organization, {line["id"]: line["saw"] for line in lines})


def run_in(
    folder: Path, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing but this environment; what it printed is shown when it fails."""
    inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def nonce_of(client: Client, model: str, case: str) -> str:
    """Return the word by which the simulator's log finds a question again."""
    return f"{client.name}.{model}.{case}"


def _questions(client: Client) -> list[Seen]:
    return [
        {"id": f"{model}:{case}", "case": case, "model": model, "prompt": _prompt(client, model, case)}
        for model in MODELS
        for case in ANSWERED
    ]


def _refusals() -> list[Seen]:
    models = {"unknown_model": "gpt-none"}
    return [
        {"id": f"refusal:{case}", "case": case, "model": models.get(case, "gpt-4o"), "prompt": "Hello."}
        for case in REFUSED
    ]


def _prompt(client: Client, model: str, case: str) -> str:
    nonce = nonce_of(client, model, case)
    if case in {"text", "stream"}:
        return f'[[sandbox nonce={nonce} text="{SENTENCE}"]] Write a sentence with every letter.'
    thought = f"think:{THOUGHT} + " if model in SEALS else ""
    script = json.dumps(f'{thought}call:get_weather {{"city": "Paris"}}|text:{VERDICT}')
    return f"[[sandbox nonce={nonce} script={script}]] What should I wear in Paris?"


def _command(client: Client, folder: Path) -> list[str]:
    program = PROGRAMS / client.program
    if program.suffix == ".py":
        return [str(python_of(client.environment)), str(program)]
    return node_command(client.environment, program, folder)
