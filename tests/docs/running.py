"""Runs the snippets of the documentation as a reader would: copied, with a key of their own filled in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx2

from fastanchor.manual import reading
from fastanchor.manual.blocks import EXAMPLE_ORIGIN, Block
from fastanchor.manual.contents import ENTRIES
from tests.clients.environments import node, node_folder_of
from tests.clients.running import run_in
from tests.live.product import LiveProduct

HERE = Path(__file__).parent
# How a snippet must be changed for the answer that is shown: what the sandbox is ordered, or whose key is used.
ORDERS = {"broken": "[[sandbox error_after=3]]", "failing": "[[sandbox error=500]]"}
KEYS = ("poor", "limited")
_CURLS_AT_ONCE = 4
_PROMPT = re.compile(r'("content": ")([^"]*)"')


@dataclass(frozen=True)
class Shown:
    """A block, where it stands, and for one that shows an answer the snippet before it."""

    name: str
    block: Block
    asked: Block | None

    @property
    def change(self) -> str:
        """Return how the snippet is changed for this answer."""
        return next((mark for mark in self.block.marks if mark in {*ORDERS, *KEYS}), "")


def shown_blocks() -> list[Shown]:
    """Return every block of the pages that are written by hand; those of clients have tests of their own."""
    found: list[Shown] = []
    for entry in ENTRIES:
        if not entry.folder:
            continue
        asked: Block | None = None
        for number, block in enumerate(reading.written(entry.name).blocks, 1):
            if block.is_run and block.language == "sh":
                asked = block
            found.append(Shown(f"{entry.name}-{number}-{block.language}", block, asked))
    return found


@dataclass(frozen=True)
class Answer:
    """What curl was answered."""

    status: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Ran:
    """What came of the snippets: what each printed, or why it failed; answers by the snippet's text."""

    printed: Mapping[str, str]
    failed: Mapping[str, str]
    answers: dict[str, Answer] = field(default_factory=dict)


class Reader:
    """A customer with a key, a request that has ended, and a stored response."""

    def __init__(self, product: LiveProduct, folder: Path) -> None:
        self.product = product
        self.folder = folder
        self.origin = product.base_url.removesuffix("/v1")
        self.organization, self.key = product.new_customer()
        shutil.copy(HERE / "meeting.wav", folder)

    def filled(self, text: str, *, key: str = "") -> str:
        """Return a snippet with the reader's own values."""
        text = text.replace(EXAMPLE_ORIGIN, self.origin).replace("YOUR_KEY", key or self.key)
        return text.replace("REQUEST_ID", self.ids[0]).replace("RESPONSE_ID", self.ids[1])

    @cached_property
    def ids(self) -> tuple[str, str]:
        """Return the ids of a request whose receipt is there, and of its stored response."""
        answer = httpx2.post(
            f"{self.product.base_url}/responses",
            headers={"authorization": f"Bearer {self.key}"},
            json={"model": "gpt-4o", "input": "Hello!"},
        )
        self.product.wait_settled(self.organization, rows=1)
        return answer.headers["x-request-id"], answer.json()["id"]

    def curl(self, name: str, text: str) -> Answer:
        """Run a snippet for curl in a folder of its own; raises ``AssertionError`` with what it said."""
        folder = self.folder / name
        folder.mkdir()
        shutil.copy(self.folder / "meeting.wav", folder)
        (folder / ".curlrc").write_text("silent\nshow-error\nfail-early\ndump-header = headers\n")
        done = run_in(folder, ["sh", "-e", "-c", text], {"HOME": str(folder)})
        status, *lines = (folder / "headers").read_text().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        head, _, rest = done.stdout.partition("\n\n")
        return Answer(status.strip(), headers, rest if head.startswith("HTTP/") else done.stdout)


def changed(shown: Shown) -> str:
    """Return the snippet before a block as its answer needs it."""
    assert shown.asked is not None
    order = ORDERS.get(shown.change)
    return _PROMPT.sub(rf'\1\2 {_quoted(order)}"', shown.asked.text) if order else shown.asked.text


def _quoted(order: str) -> str:
    return order.replace("\\", r"\\").replace('"', r"\"")


def run_all(reader: Reader) -> Ran:
    """Run every snippet, each language in a process of its own."""
    runs = [shown for shown in shown_blocks() if shown.block.is_run]
    of = {
        language: [each for each in runs if each.block.language == language]
        for language in ("sh", "python", "js")
    }
    reader.ids  # noqa: B018 - made before anybody needs them
    with ThreadPoolExecutor(_CURLS_AT_ONCE + 2) as pool:
        programs = [pool.submit(_run_python, reader, of["python"]), pool.submit(_run_node, reader, of["js"])]
        curls = {each.name: pool.submit(_run_curl, reader, each) for each in of["sh"]}
    ran = Ran({}, {})
    told = [line for program in programs for line in program.result()]
    printed = {line["name"]: line["printed"] for line in told if "printed" in line}
    failed = {line["name"]: line["failed"] for line in told if "failed" in line}
    for each in of["sh"]:
        answer = curls[each.name].result()
        if isinstance(answer, str):
            failed[each.name] = answer
        else:
            printed[each.name] = answer.body
            ran.answers[each.block.text] = answer
    return Ran(printed, failed, ran.answers)


def _run_curl(reader: Reader, shown: Shown) -> Answer | str:
    try:
        return reader.curl(shown.name, reader.filled(shown.block.text))
    except AssertionError as exc:
        return str(exc)


def _run_python(reader: Reader, snippets: list[Shown]) -> list[dict[str, str]]:
    told = json.dumps([[each.name, reader.filled(each.block.text)] for each in snippets])
    return _told([sys.executable, str(HERE / "run_python.py")], reader.folder, told)


def _run_node(reader: Reader, snippets: list[Shown]) -> list[dict[str, str]]:
    packages = reader.folder / "node_modules"
    (packages / "@anthropic-ai").mkdir(parents=True)
    for environment, name in (("openai-7", "openai"), ("anthropic", "@anthropic-ai/sdk")):
        (packages / name).symlink_to(node_folder_of(environment) / "node_modules" / name)
    for each in snippets:
        (reader.folder / f"{each.name}.mjs").write_text(reader.filled(each.block.text))
    shutil.copy(HERE / "run_node.mjs", reader.folder)
    told = json.dumps([each.name for each in snippets])
    return _told([node(), "run_node.mjs"], reader.folder, told)


def _told(command: list[str], folder: Path, given: str) -> list[dict[str, str]]:
    done = subprocess.run(
        command, cwd=folder, input=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return lines
