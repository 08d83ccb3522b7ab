"""Hours of ordinary life in minutes: many hang up, some calls meet faults, and memory stays where it was."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.chaos import load
from tests.chaos.calls import Call
from tests.chaos.load import Wish
from tests.live.product import LiveProduct

pytestmark = pytest.mark.timeout(2_400)

CLIENTS = 24
LEAVERS, FAULTS = 0.30, 0.05
# Until every cache and pool has its size.
WARM_UP = 1 / 3
MOST_GROWTH = 0.01
_TEN_MINUTES_S = 600.0
_SAMPLE_EVERY_S = 2.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FAULTS = (
    "error=500",
    "error=429 retry_after=0",
    "drop",
    "garbage",
    "error_first",
    "close_after=3",
    "error_after=2",
)


class Sample(NamedTuple):
    """How many bytes a process has at a moment."""

    at_s: float
    resident: int


def resident(pid: int) -> int:
    """Return how much memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def growth(samples: list[Sample]) -> float:
    """Return by which part of itself memory grows in ten minutes, by the line through the samples."""
    line = statistics.linear_regression(*zip(*samples, strict=True))
    return line.slope * _TEN_MINUTES_S / statistics.fmean(sample.resident for sample in samples)


@dataclass
class Soak:
    """The load on a product, and what is seen meanwhile."""

    product: LiveProduct
    seed: int
    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    async def run(self) -> str:
        """Load the product, and return the organization that did."""
        organization, key = self.product.new_customer(plan="enterprise", credit_cents=1_000_000)
        until = time.monotonic() + self.seconds
        self.samples = {gateway.pid: [] for gateway in self.product.gateways}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(until))
            for number in range(CLIENTS):
                group.create_task(self._client(f"{self.seed}-{number}", key, until))
        return organization

    async def _client(self, name: str, key: str, until: float) -> None:
        source = Random(name)
        for number in itertools.count():
            if time.monotonic() > until:
                return
            kind, wanted = _wish(source)
            gateway = source.randrange(len(self.product.base_urls))
            call = Call(f"{name}-{number}", "", is_poor=False, gateway=gateway, is_stream=wanted.is_stream)
            await load.ask(call, self.product.base_urls[gateway], key, wanted)
            self.calls[kind] += 1
            if kind == "plain":
                self.statuses[call.status] += 1
                assert not call.is_broken
            await asyncio.sleep(source.uniform(0, 0.2))

    async def _watch(self, until: float) -> None:
        begun = time.monotonic()
        while (now := time.monotonic()) < until:
            for pid, samples in self.samples.items():
                samples.append(Sample(now - begun, resident(pid)))
            # What the sandboxes remember of the calls is nobody's concern here.
            for sandbox in self.product.sandboxes:
                await asyncio.to_thread(sandbox.reset)
            await asyncio.sleep(_SAMPLE_EVERY_S)

    @property
    def settled(self) -> list[list[Sample]]:
        """Return what each process had once it was warm."""
        return [
            [each for each in samples if each.at_s > self.seconds * WARM_UP]
            for samples in self.samples.values()
        ]


def _wish(source: Random) -> tuple[str, Wish]:
    drawn = source.random()
    is_stream = source.random() < 0.5
    if drawn < FAULTS:
        return "fault", Wish(f"tokens=9 {source.choice(_FAULTS)}", 20, is_stream=is_stream)
    if drawn < FAULTS + LEAVERS:
        directive = f"tokens={source.randint(10, 40)} delay_ms=10"
        return "left", Wish(
            directive, 100, is_stream, events=source.choice((1, 3)), seconds=source.uniform(0.01, 0.3)
        )
    directive = f"tokens={source.randint(1, 30)} delay_ms={source.randint(0, 5)}"
    return "plain", Wish(directive, source.choice((None, 100)), is_stream=is_stream)


async def test_memory_stays_where_it_was_and_every_call_is_in_the_books(
    product: LiveProduct, seed: int, *, is_full: bool
) -> None:
    soak = Soak(product, seed, seconds=1_800 if is_full else 12)

    organization = await soak.run()

    product.wait_settled(organization, within_s=40)
    assert soak.statuses[200] >= 0.99 * soak.statuses.total()
    assert set(soak.statuses) <= {200, 500, 503}
    assert soak.calls["left"] > 4 * soak.calls["fault"] > 0
    grown = [growth(samples) for samples in soak.settled]
    print(  # noqa: T201 - the figures of the proof
        f"{soak.calls.total()} calls {dict(soak.calls)}, plain ones answered {dict(soak.statuses)}; "
        f"memory grows in ten minutes by {', '.join(f'{each:.2%}' for each in grown)} of "
        f"{', '.join(f'{samples[-1].resident / 1e6:.0f} MB' for samples in soak.settled)}"
    )
    if is_full:
        assert max(grown) <= MOST_GROWTH


def test_growth_is_told_from_noise() -> None:
    steady = [
        Sample(at_s, 100_000_000 + 10_000 * (number % 7)) for number, at_s in enumerate(range(0, 1_200, 2))
    ]
    leaking = [Sample(at_s, resident + 4_000 * int(at_s)) for at_s, resident in steady]

    assert abs(growth(steady)) < 0.0001
    assert 0.022 < growth(leaking) < 0.025
