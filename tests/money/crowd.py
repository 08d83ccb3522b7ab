"""A crowd: processes of clients that all ask at the same moment, on one wallet.

``python -m tests.money.crowd PLAN`` is one of these processes. It reads a plan (JSON), waits for its moment and prints
how often which answer came.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import msgspec

from tests.live.programs import ROOT
from tests.money.raw import volley

_GATHERING_S = 2.0


class Plan(msgspec.Struct, frozen=True):
    """What one process sends: so many requests of one body, over these gateways in an order of the seed's."""

    base_urls: list[str]
    key: str
    body: str
    count: int
    seed: str
    # In seconds since 1970, so that all processes begin together.
    begins_at: float


def answers_to(plan: Plan, *, processes: int, folder: Path) -> Counter[str]:
    """Let so many processes carry out the plan at once and return how often which answer came.

    An answer is its status, and with an error its code.
    """
    begins_at = time.time() + _GATHERING_S + processes / 4
    crowd = [
        _start(
            msgspec.structs.replace(plan, seed=f"{plan.seed}-{number}", begins_at=begins_at), number, folder
        )
        for number in range(processes)
    ]
    came: Counter[str] = Counter()
    for process in crowd:
        output, _ = process.communicate()
        came += Counter(msgspec.json.decode(output, type=dict[str, int]))
    return came


def _start(plan: Plan, number: int, folder: Path) -> subprocess.Popen[bytes]:
    file = folder / f"crowd-{number}.json"
    file.write_bytes(msgspec.json.encode(plan))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.money.crowd", file], cwd=ROOT, stdout=subprocess.PIPE
    )


async def _carry_out(plan: Plan) -> Counter[str]:
    chance = Random(plan.seed)
    base_urls = [chance.choice(plan.base_urls) for _ in range(plan.count)]
    await asyncio.sleep(max(0.0, plan.begins_at - time.time()))
    answers = await volley(base_urls, plan.key, plan.body.encode(), plan.count)
    return Counter(_told(status, answer) for status, answer in answers)


def _told(status: int, answer: bytes) -> str:
    if status == 200:
        return "200"
    code = msgspec.json.decode(answer)["error"]["code"] if answer else "no answer"
    return f"{status} {code}"


def main() -> None:
    """Carry out the plan that the first argument names."""
    came = asyncio.run(_carry_out(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
    sys.stdout.buffer.write(msgspec.json.encode(came))


if __name__ == "__main__":
    main()
