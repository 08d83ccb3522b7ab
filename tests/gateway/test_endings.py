"""How a stream may end, and what is no end."""

from __future__ import annotations

import pytest

from billing.spool import Usage, Void
from tests.gateway.house import SSE_END, SSE_HEAD, House, Upstream, chunked, event

CUT_AND_MARKED = chunked(b"data: [DONE]\n\n")


async def test_the_usual_mark_alone_is_no_end_of_an_answer(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(SSE_HEAD + event("half") + CUT_AND_MARKED + SSE_END)

    _, body = await house.answer(stream=True)

    assert b"half" in body
    assert b'"code":"upstream_error"' in body
    assert b"[DONE]" not in body
    (usage,) = house.records(Usage)
    assert usage.outcome == "upstream_died"


@pytest.mark.parametrize("opening", [b"", event("", finish_reason=None)])
async def test_a_mark_without_an_answer_is_another_channels_turn(
    house: House, upstream: Upstream, opening: bytes
) -> None:
    upstream.script = upstream.says(SSE_HEAD + opening + CUT_AND_MARKED + SSE_END)

    status, _ = await house.answer(stream=True)

    assert status == 500
    assert len(upstream.bodies) > 1
    assert not any(usage.cost_nano for usage in house.records(Usage))
    assert not house.records(Void) or not house.holds


async def test_a_single_event_without_a_blank_line_is_an_answer(house: House, upstream: Upstream) -> None:
    whole = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"all"},"finish_reason":"stop"}]}'
    upstream.script = upstream.says(SSE_HEAD + chunked(whole) + SSE_END)

    status, body = await house.answer(stream=True)

    assert (status, b'"content":"all"' in body, body.endswith(b"data: [DONE]\n\n")) == (200, True, True)
