"""What a server must bear: slow bodies, slow readers, and its own end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.contract.conftest import Customer
from tests.live.product import LiveProduct
from tests.live.programs import Program, free_port, wait_until


def chat(prompt: str, **fields: object) -> dict[str, object]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], **fields}


async def test_a_body_that_does_not_come_is_a_timeout(product: LiveProduct, customer: Customer) -> None:
    host, _, port = product.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {customer.key}\r\n"
        "content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    )
    writer.write(head.encode())

    answer = await asyncio.wait_for(reader.read(), 10)

    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "timeout"


@contextlib.contextmanager
def own_process(product: LiveProduct, name: str) -> Iterator[tuple[Program, str]]:
    """Run one more serving process and yield it with its address."""
    port = free_port()
    environment = {**product.environment, "PORT": str(port)}
    program = Program(["manage.py", "web"], log=product.folder / f"{name}.log", environment=environment)
    address = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx2.get(f"{address}/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    try:
        wait_until(is_up, what="the process is ready")
        yield program, address
    finally:
        program.stop()


def read_stream(address: str, key: str, prompt: str, *, after_line: Callable[[int], None]) -> str:
    """Return a stream's text; ``after_line`` hears the number of each line."""
    body = chat(prompt, stream=True, max_tokens=400)
    lines = []
    with httpx2.stream(
        "POST", f"{address}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
    ) as response:
        for number, line in enumerate(response.iter_lines()):
            lines.append(line)
            after_line(number)
    return "\n".join(lines)


def test_a_stopping_process_finishes_its_streams_and_takes_no_new_ones(
    product: LiveProduct, customer: Customer
) -> None:
    with own_process(product, "stopping") as (program, address):

        def stop_it(number: int) -> None:
            if number == 10:
                program.process.terminate()
            if number == 30:
                with pytest.raises(httpx2.TransportError):
                    httpx2.get(f"{address}/healthz")

        text = read_stream(address, customer.key, "[[sandbox tokens=40 delay_ms=30]]", after_line=stop_it)

    assert text.endswith("data: [DONE]\n")
    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert (row["outcome"], row["output_tokens"]) == ("completed", 40)


def test_a_killed_process_leaves_one_record_of_what_was_under_way(
    product: LiveProduct, customer: Customer
) -> None:
    with own_process(product, "killed") as (program, address):

        def kill_it(number: int) -> None:
            if number == 60:
                program.kill()

        with pytest.raises(httpx2.TransportError):
            read_stream(address, customer.key, "[[sandbox tokens=200 delay_ms=50]]", after_line=kill_it)

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert (row["outcome"], row["is_estimated"]) == ("interrupted", True)
    assert 0 < row["cost_nano"] <= row["hold_nano"]
