"""All that is sent to the product and who sends it, and a table of what came back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings

from tests.gateway.junk import spoilt
from tests.hostile.bodies import BODIES, GOOD, OTHER_PATHS, Spoil
from tests.hostile.keys import credentials
from tests.hostile.raw import raw_requests
from tests.hostile.verdicts import answers_in, faults

AT_ONCE = 16
# For a first word; where one was said, a connection that is kept says no more after this.
PATIENCE_S = 20.0
QUIET_S = 0.5
CREDENTIALS = 500
_KINDS = (
    b"application/json",
    b"text/plain",
    b"application/json; charset=utf-16",
    b"multipart/form-data; boundary=x",
    b"",
)
# A form in which something is missing, cut off or twice.
_FORMS = (b"", b"--x", b"--x--\r\n", b"--x\r\n\r\n\r\n--x--\r\n", b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n' * 50,
          b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a\0"\r\n\r\n\xff\r\n--x--\r\n', b"--y" * 9_000)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """One case: its kind, what the table and a failure call it, and what makes its bytes."""

    kind: str
    name: str
    make: Callable[[], bytes]
    most_answers: int = 1
    is_ours: bool = True


@dataclass
class Result:
    """What became of all cases."""

    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return the kinds of cases with the statuses that answered them; 0 is a connection closed without a word."""
        lines = ["| kind | cases | answers by status |", "| --- | --- | --- |"]
        for kind, count in self.counts.items():
            told = sorted((status, n) for (each, status), n in self.statuses.items() if each == kind)
            lines.append(f"| {kind} | {count} | {', '.join(f'{status}: {n}' for status, n in told)} |")
        return "\n".join([*lines, f"| all | {self.counts.total()} | faults: {len(self.faults)} |"])


def cases(callers: dict[str, str], draw: random.Random, *, examples: int) -> list[Sent]:
    """Return everything; ``callers`` are keys by the name of their state, an empty one for none."""
    return [
        *_bodies(callers),
        *_kinds(callers["good"]),
        *_credentials(draw),
        *_raw(),
        *_spoilt(callers["good"], draw, examples),
    ]


def _raw() -> Iterator[Sent]:
    for raw in raw_requests():
        yield Sent("raw sockets", raw.name, partial(bytes, raw.data), raw.most_answers, raw.is_ours)


def _bodies(callers: dict[str, str]) -> Iterator[Sent]:
    for state, key in callers.items():
        for path, good in GOOD.items():
            for name, spoil in BODIES.items():
                yield Sent(
                    "bodies", f"{name} to {path} by {state}", partial(_spoilt_post, path, spoil, good, key)
                )
    for path in OTHER_PATHS:
        for name, spoil in BODIES.items():
            yield Sent(
                "bodies elsewhere",
                f"{name} to {path}",
                partial(_spoilt_post, path, spoil, {}, callers["good"]),
            )


def _kinds(key: str) -> Iterator[Sent]:
    for path, good in (GOOD | {"/v1/audio/transcriptions": {}}).items():
        contents = (json.dumps(good).encode(), *_FORMS)
        for kind in _KINDS:
            for number, content in enumerate(contents):
                name = f"{kind.decode()!r}, content {number}, to {path}"
                yield Sent("content types", name, partial(_post, path, content, key, kind=kind))


def _credentials(draw: random.Random) -> Iterator[Sent]:
    paths = [*GOOD, *OTHER_PATHS]
    for number, value in enumerate(credentials(CREDENTIALS, draw)):
        path = paths[number % len(paths)]
        name = (b"authorization", b"x-api-key", b"api-key")[number % 3]
        yield Sent(
            "credentials", f"{value[:60]!r} to {path}", partial(_request, path, b"{}", [(name, value)])
        )


def _spoilt(key: str, draw: random.Random, examples: int) -> Iterator[Sent]:
    each = -(-examples // len(GOOD))
    for path, good in GOOD.items():
        for body in _made_of(good, draw.randrange(2**32), each):
            text = json.dumps(body)
            yield Sent(
                "made by hypothesis", f"{text[:80]} to {path}", partial(_post, path, text.encode(), key)
            )


def _made_of(good: Any, number: int, count: int) -> list[Any]:
    made: list[Any] = []

    @seeded(number)
    @settings(
        max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(spoilt(good))
    def collect(body: Any) -> None:
        made.append(body)

    collect()
    return made


def _spoilt_post(path: str, spoil: Spoil, good: dict[str, Any], key: str) -> bytes:
    return _post(path, spoil(good), key)


def _post(path: str, body: bytes, key: str, *, kind: bytes = b"application/json") -> bytes:
    return _request(path, body, [(b"authorization", b"Bearer " + key.encode())] if key else [], kind=kind)


def _request(
    path: str, body: bytes, headers: list[tuple[bytes, bytes]], *, kind: bytes = b"application/json"
) -> bytes:
    lines = [
        b"POST " + path.encode() + b" HTTP/1.1", b"host: 127.0.0.1", b"connection: close", b"content-length: %d" % len(body),
        *([b"content-type: " + kind] if kind else []),
        *(name + b": " + value for name, value in headers),
    ]  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def run(base_url: str, sent: list[Sent], secrets: list[str]) -> Result:
    """Send all of it, a few at a time."""
    result, waiting = Result(), iter(sent)

    async def work() -> None:
        for case in waiting:
            _judge(case, await exchange(base_url, case.make()), secrets, result)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return result


async def exchange(base_url: str, data: bytes) -> bytes | None:
    """Send bytes and return all that came; ``None`` when nothing came and the connection stayed open."""
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    got = bytearray()
    try:
        # A server may hang up before it has heard everything, and what it said is to be read all the same.
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            while piece := await asyncio.wait_for(reader.read(65_536), QUIET_S if got else PATIENCE_S):
                got += piece
    except TimeoutError:
        return bytes(got) or None
    finally:
        writer.transport.abort()
    return bytes(got)


def _judge(case: Sent, data: bytes | None, secrets: list[str], result: Result) -> None:
    result.counts[case.kind] += 1
    if data is None:
        result.faults.append(f"{case.name}: was not answered")
        return
    answers = answers_in(data)
    found = [fault for answer in answers for fault in faults(answer, secrets, is_ours=case.is_ours)]
    if len(answers) > case.most_answers:
        found.append(f"was answered {len(answers)} times")
    if data and not answers:
        found.append(f"got no HTTP: {data[:80]!r}")
    result.faults += [f"{case.name}: {fault}" for fault in found]
    result.statuses.update((case.kind, answer.status) for answer in answers[:1])
    if not answers:
        result.statuses[case.kind, 0] += 1
