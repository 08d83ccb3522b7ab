"""A deploy under load: every process is replaced, no request fails, and every open stream comes to its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import pytest

from bench.machine import command_line, tree
from tests.contract.conftest import Customer
from tests.live.product import LiveProduct
from tests.live.programs import Program, free_port, wait_until

pytestmark = pytest.mark.timeout(600)

PROMPT = "[[sandbox tokens=3]]"
_AT_ONCE = 4


@contextlib.contextmanager
def own_gateway(product: LiveProduct, *, workers: int) -> Iterator[tuple[Program, str]]:
    """Run ``manage.py gateway`` beside the product, with a spool of its own, and yield it with its address."""
    port = free_port()
    environment = product.environment | {
        "GATEWAY_PORT": str(port),
        "GATEWAY_WORKERS": str(workers),
        "FASTANCHOR_DATA_DIR": str(product.folder / "reloading"),
        # What is tried here is not how quick Valkey is while processes start.
        "FASTANCHOR_VALKEY_TIMEOUT_MS": "5000",
    }
    program = Program(["manage.py", "gateway"], log=product.folder / "reloading.log", environment=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_up(address), what="the gateway is ready")
        yield program, address
    finally:
        program.stop(grace_s=30)


def is_up(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


def workers_of(program: Program) -> set[int]:
    """Return the ids of the processes that serve."""
    return {pid for pid in tree(program.pid) if " web --fd " in command_line(pid)}


@dataclass
class Load:
    """Callers who do not know that anything is deployed."""

    address: str
    key: str
    served: int = 0
    failures: list[str] = field(default_factory=list)
    is_over: bool = False

    def body(self, prompt: str, **fields: object) -> dict[str, object]:
        """Return a request."""
        return {
            "model": "gpt-4o",
            "max_tokens": 400,
            "messages": [{"role": "user", "content": prompt}],
            **fields,
        }

    async def keep_asking(self, *, keeps_connection: bool) -> None:
        """Ask over one connection, or over a new one each time, until it is over."""
        async with self._client() as kept:
            while not self.is_over:
                if keeps_connection:
                    await self._ask(kept)
                else:
                    async with self._client() as fresh:
                        await self._ask(fresh)

    async def _ask(self, client: httpx2.AsyncClient) -> None:
        try:
            answer = await client.post("/v1/chat/completions", json=self.body(PROMPT))
        except httpx2.TransportError as exc:
            self.failures.append(repr(exc))
            return
        if answer.status_code == 200:
            self.served += 1
        else:
            self.failures.append(f"{answer.status_code}: {answer.text[:200]}")

    async def stream(self, tokens: int, delay_ms: int) -> bool:
        """Read one stream and tell whether it came to its end."""
        body = self.body(f"[[sandbox tokens={tokens} delay_ms={delay_ms}]]", stream=True)
        words, last = 0, ""
        async with (
            self._client() as client,
            client.stream("POST", "/v1/chat/completions", json=body) as answer,
        ):
            async for line in answer.aiter_lines():
                last = line or last
                if line.startswith("data: {"):
                    words += sum(
                        bool(each["delta"].get("content")) for each in json.loads(line[6:])["choices"]
                    )
        return last == "data: [DONE]" and words == tokens

    def _client(self) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx2.AsyncClient(base_url=self.address, headers=headers, timeout=60)


async def reload(program: Program) -> None:
    """Have every serving process replaced and wait until the old ones take nothing new."""
    before = workers_of(program)
    marker = len(program.output())
    program.process.send_signal(signal.SIGHUP)
    is_done = lambda: "workers.reloaded" in program.output()[marker:]  # noqa: E731 - waited for in a thread
    await asyncio.to_thread(wait_until, is_done, what="the processes are replaced", within_s=120)
    assert len(workers_of(program) - before) == len(before)


async def test_a_deploy_under_load_loses_no_request_and_no_stream(
    product: LiveProduct, customer: Customer, *, is_full: bool
) -> None:
    reloads, requests, streams, workers = (5, 2_000, 20, 2) if is_full else (1, 150, 4, 1)
    organization = product.new_organization(plan="enterprise", credit_cents=100_000)
    with own_gateway(product, workers=workers) as (program, address):
        load = Load(address, product.new_key(organization))
        first = workers_of(program)
        asking = [
            asyncio.create_task(load.keep_asking(keeps_connection=bool(n % 2))) for n in range(_AT_ONCE)
        ]
        started = time.monotonic()
        reading = [asyncio.create_task(load.stream(100, 120)) for _ in range(streams)]
        await asyncio.sleep(0.5)
        for _ in range(reloads):
            await reload(program)
        is_enough = lambda: load.served >= requests or bool(load.failures)  # noqa: E731 - waited for in a thread
        await asyncio.to_thread(wait_until, is_enough, what="enough is served", within_s=300)
        load.is_over = True
        await asyncio.gather(*asking)
        ended = await asyncio.gather(*reading)
        wait_until(lambda: not first & workers_of(program), what="the old processes are gone", within_s=60)

    took_s = time.monotonic() - started
    sys.stdout.write(f"{reloads} reloads, {load.served} requests, {len(ended)} streams in {took_s:.1f} s\n")
    assert load.failures == []
    assert load.served >= requests
    assert ended == [True] * streams
    product.wait_settled(organization)
