"""``python -m bench.holds``: what the money of a request costs in time, at a steady rate.

Requests arrive at random moments, 300 a second, whatever became of those before them, and go through the stages that
are about money: the hold is placed, the intent written, the cost written and the hold settled. Valkey and the spool are
real, the upstream and the caller are left out. ``hold`` ends when the hold is there, ``settled`` when Valkey has
answered that it is gone again; ``share`` is what a caller waits longer because of it all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import redis
import uvloop

from accounts.keyring import Caller
from billing import holds
from billing.spool import Spool
from catalog.pricing import Usage
from catalog.snapshot import Catalog, Channel, Model, Price, Rates, Route, Snapshot, Tier
from fastanchor.lib.valkey import Script, TurnPipeline
from fastanchor.local.servers import start_servers
from gateway.call import Call, Outcome, Request
from gateway.formats.chat import Chat
from gateway.runtime import Gateway
from gateway.stages.reserve import reserve, write_intent
from gateway.stages.route import route
from gateway.stages.settle import settle

_ORGANIZATION = "org_bench"
_PLENTY = 2_000_000_000
_BALANCE_NANO = 9_000_000_000_000_000
_BODY = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "x" * 200}], "max_tokens": 500}
).encode()
_OUTCOME = Outcome("completed", 200, Usage(57, 0, 0, 100, 0), finish_reason="stop", upstream_id="up_1")
# The 99th of a hundred holds with its settlement, and what the middle request waits longer.
MOST_P99_MS, MOST_SHARE_MS = 15.0, 2.0


class TimedPipeline(TurnPipeline):
    """Notes how long Valkey takes to answer each request's calls."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_s=10)
        self.took_ms: dict[str, float] = {}
        self.last: dict[str, asyncio.Future[Any]] = {}

    def submit(self, script: Script, keys: Sequence[Any], arguments: Sequence[Any]) -> asyncio.Future[Any]:
        """Submit a call and look at the clock when it is answered."""
        future, began = super().submit(script, keys, arguments), time.perf_counter()
        self.last[arguments[1]] = future
        future.add_done_callback(lambda _: self._note(arguments[1], began))
        return future

    def _note(self, request_id: str, began: float) -> None:
        self.took_ms[request_id] = self.took_ms.get(request_id, 0.0) + (time.perf_counter() - began) * 1_000


@dataclass(slots=True)
class Figures:
    """Milliseconds of every request."""

    hold: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Write a table."""
        yield f"{'':8} {'requests':>9} {'p50 ms':>9} {'p99 ms':>9} {'most ms':>9}"
        for name, taken in (("hold", self.hold), ("settled", self.settled), ("share", self.share)):
            yield f"{name:8} {len(taken):9} {part(taken, 50):9.2f} {part(taken, 99):9.2f} {max(taken):9.2f}"

    def is_within(self) -> bool:
        """Tell whether both targets are met."""
        return part(self.settled, 99) < MOST_P99_MS and part(self.share, 50) < MOST_SHARE_MS


def part(taken: list[float], percent: int) -> float:
    """Return the value below which that many of a hundred lie."""
    return sorted(taken)[len(taken) * percent // 100]


@contextmanager
def _valkey(folder: Path) -> Iterator[str]:
    # Only Valkey: what is named elsewhere is not started.
    os.environ["DATABASE_URL"] = "elsewhere"
    os.environ.pop("REDIS_URL", None)
    servers = start_servers(folder, durable=False)
    try:
        yield servers.redis_url
    finally:
        servers.stop()


def _gateway(folder: Path, url: str, pipeline: TurnPipeline) -> Gateway:
    absent: Any = None
    client = redis.Redis.from_url(url)

    async def open_wallet(organization_id: str) -> str:
        epoch = holds.ensure_epoch(client)
        wallet = holds.PublishedWallet(organization_id, 1, _BALANCE_NANO)
        mark = holds.begin_opening(client, organization_id)
        holds.open_wallet(client, epoch=epoch, wallet=wallet, mark=mark)
        return epoch.name

    return Gateway(
        catalog=Catalog(_snapshot), keyring=absent, archive=absent, books=absent, client=absent, health=absent,
        deadlines=absent, max_body_bytes=1_000_000, holds=holds.Holds(pipeline, open_wallet),
        spool=Spool.create(folder / "spool"),
    )  # fmt: skip


async def _snapshot() -> Snapshot:
    channel = Channel(
        "chan_1", "one", "other", "openai", "https://upstream.example/v1", "sk", 1, 1, allow_private=False
    )
    rates = Rates(input=2_500_000, cached_input=1_250_000, cache_write=2_500_000, output=10_000_000)
    model = Model(
        id="m", provider="other", name="M", context_window=100_000, max_output=8_192, created=0,
        capabilities=frozenset(), input_modalities=("text",), output_modalities=("text",),
        prices=(Price("1", 0, (Tier(0, rates),)),), routes=(Route(channel, "m"),),
    )  # fmt: skip
    return Snapshot(version=1, models={"m": model}, listed=(model,))


async def _serve(gateway: Gateway, pipeline: TimedPipeline, caller: Caller, figures: Figures) -> None:
    request = Request({}, _BODY, Chat())
    call = route(gateway, request, caller, request.format.parse(request.body, request.headers))
    began = time.perf_counter()
    await reserve(gateway, call)
    held = time.perf_counter()
    _write(gateway, call)
    figures.share.append((time.perf_counter() - began) * 1_000)
    figures.hold.append((held - began) * 1_000)
    await pipeline.last.pop(request.id)
    figures.settled.append(pipeline.took_ms.pop(request.id))


def _write(gateway: Gateway, call: Call) -> None:
    call.channel, call.attempts = call.candidates[0].channel, 1
    write_intent(gateway, call)
    settle(gateway, call, _OUTCOME)


async def measure(folder: Path, url: str, *, rate: int, seconds: float, seed: int) -> Figures:
    """Let requests arrive for a while and return what they took."""
    chance, figures, pipeline = Random(seed), Figures(), TimedPipeline(url)
    gateway = _gateway(folder, url, pipeline)
    await gateway.catalog.refresh()
    caller = Caller("key_1", _ORGANIZATION, "enterprise", _PLENTY, _PLENTY * 1_000, _PLENTY)
    await _serve(gateway, pipeline, caller, Figures())
    running, at, end = [], time.perf_counter(), time.perf_counter() + seconds
    while at < end:
        at += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        running.append(asyncio.create_task(_serve(gateway, pipeline, caller, figures)))
    await asyncio.gather(*running)
    await pipeline.close()
    gateway.spool.close()
    return figures


def main() -> int:
    """Print the figures; with ``--strict`` exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.holds", description=__doc__)
    parser.add_argument("--rate", type=int, default=300, help="requests a second (300)")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--strict",
        action="store_true",
        help=f"exit 1 unless 99 of 100 settle within {MOST_P99_MS:g} ms and the share's middle is below {MOST_SHARE_MS:g} ms",
    )
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fastanchor-bench-") as name, _valkey(Path(name)) as url:
        figures = uvloop.run(
            measure(Path(name), url, rate=words.rate, seconds=words.seconds, seed=words.seed)
        )
    print("\n".join(figures.lines()))
    return int(words.strict and not figures.is_within())


if __name__ == "__main__":
    raise SystemExit(main())
