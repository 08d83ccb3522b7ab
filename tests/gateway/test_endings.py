"""How a stream may end, and what is no end."""

from __future__ import annotations

import pytest

from billing.spool import Usage
from tests.gateway.house import SSE_END, SSE_HEAD, House, Upstream, chunked, completion, event, whole

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
    assert [(usage.outcome, usage.cost_nano) for usage in house.records(Usage)] == [("failed", 0)]
    assert not house.holds


async def test_a_single_event_without_a_blank_line_is_an_answer(house: House, upstream: Upstream) -> None:
    only = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"all"},"finish_reason":"stop"}]}'
    upstream.script = upstream.says(SSE_HEAD + chunked(only) + SSE_END)

    status, body = await house.answer(stream=True)

    assert (status, b'"content":"all"' in body, body.endswith(b"data: [DONE]\n\n")) == (200, True, True)


@pytest.mark.parametrize(
    "usage", [[], "12", {"prompt_tokens": 9.5}, {"prompt_tokens": 9, "prompt_tokens_details": []}]
)
async def test_a_report_that_cannot_be_read_costs_nobody_the_answer(
    house: House, upstream: Upstream, usage: object
) -> None:
    upstream.script = upstream.says(whole(completion(usage=usage)))
    status, body = await house.answer()
    report = chunked(b"data: " + completion(choices=[], usage=usage) + b"\n\n")
    upstream.script = upstream.says(SSE_HEAD + event("hello", finish_reason="stop") + report + SSE_END)
    _, streamed = await house.answer(stream=True, stream_options={"include_usage": True})

    assert (status, b"hello" in body, streamed.endswith(b"data: [DONE]\n\n")) == (200, True, True)
    assert b'"total_tokens":' in streamed
    assert all(each.is_estimated and each.cost_nano for each in house.records(Usage))
