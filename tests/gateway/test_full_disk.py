"""A disk without room, refused by the kernel itself: new requests are 503, running ones end well, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator

from billing.spool import Usage, Void
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, event


@contextlib.contextmanager
def no_room(house: House) -> Iterator[None]:
    """Let no file grow to the size of a segment, in a spool whose present segment is more than half full."""
    spool = house.gateway.spool
    while spool._offset * 2 <= spool._segment_bytes:
        spool.append(Void("req_filling"))
    usual, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool._segment_bytes - 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (usual, hard))


async def told(house: House) -> tuple[int, bytes]:
    """Ask and return what comes, without waiting for other calls."""
    reply = house.ask()
    await reply.begun()
    return reply.status, await reply.piece() or b""


async def test_without_room_new_requests_are_503_before_any_upstream_and_what_runs_is_recorded(
    house: House, upstream: Upstream
) -> None:
    may_end = asyncio.Event()

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("a"))
        while not may_end.is_set():
            await asyncio.sleep(0.05)
            writer.write(event("b"))
        writer.write(DONE + SSE_END)

    upstream.script = script
    running = asyncio.ensure_future(house.answer(stream=True))
    while not upstream.bodies:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)

    with no_room(house):
        refused = [await told(house) for _ in range(20)]
        may_end.set()
        status, body = await running

    assert {status for status, _ in refused} == {503}
    assert all(b'"code":"service_unavailable"' in body for _, body in refused)
    assert len(upstream.bodies) == 1
    assert status == 200
    assert body.endswith(b"[DONE]\n\n")
    assert [usage.outcome for usage in house.records(Usage)] == ["completed"]

    again, _ = await house.answer(stream=True)
    assert again == 200
    assert len(house.records(Usage)) == 2
