"""What an upstream says it has used is believed as far as it can be true, whoever pays for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from billing.spool import Usage
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, chunked, completion, event, whole

ABSURD = {"prompt_tokens": 10, "completion_tokens": 900_000_000, "total_tokens": 900_000_010}
NEGATIVE = {"prompt_tokens": -5, "completion_tokens": 7, "total_tokens": 2}


def _reported(usage: dict[str, Any]) -> bytes:
    chunk = {"id": "up_1", "model": "m", "choices": [], "usage": usage}
    return chunked(b"data: " + json.dumps(chunk).encode() + b"\n\n")


@pytest.mark.parametrize("usage", [ABSURD, NEGATIVE])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_nobody_pays_for_what_cannot_be(
    house: House, upstream: Upstream, usage: dict[str, Any], *, is_stream: bool
) -> None:
    parts = (SSE_HEAD, event("hello"), _reported(usage), DONE, SSE_END)
    upstream.script = upstream.says(*parts) if is_stream else upstream.says(whole(completion(usage=usage)))

    status, _ = await house.answer(stream=is_stream, max_tokens=50)

    (record,) = house.records(Usage)
    assert (status, record.outcome, record.is_estimated) == (200, "completed", True)
    assert 0 < record.cost_nano <= record.hold_nano
    assert record.output_tokens < 50


@pytest.mark.parametrize("is_stream", [False, True])
async def test_nobody_pays_for_searches_that_were_not_ordered(
    house: House, upstream: Upstream, *, is_stream: bool
) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    searched = usage | {"server_tool_use_details": {"web_search_requests": 4}}
    parts = (SSE_HEAD, event("hello"), _reported(searched), DONE, SSE_END)
    upstream.script = upstream.says(*parts) if is_stream else upstream.says(whole(completion(usage=searched)))

    await house.answer(stream=is_stream)

    (record,) = house.records(Usage)
    assert (record.searches, record.input_tokens, record.is_estimated) == (0, 10, False)


async def test_the_last_report_of_several_counts(house: House, upstream: Upstream) -> None:
    early = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    late = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    upstream.script = upstream.says(
        SSE_HEAD, _reported(early), event("hello"), _reported(late), DONE, SSE_END
    )

    await house.answer(stream=True)

    (record,) = house.records(Usage)
    assert (record.input_tokens, record.output_tokens, record.is_estimated) == (10, 5, False)


async def test_what_one_caller_may_not_ask_for_takes_the_channel_from_nobody(
    house: House, upstream: Upstream
) -> None:
    forbidden = upstream.says(whole(b'{"error":{"message":"not for this account"}}', "403 Forbidden"))
    fine = upstream.script

    for script, expected in ((forbidden, 503), (fine, 200), *[(forbidden, 503)] * 5, (fine, 503)):
        upstream.script = script
        assert (await house.answer())[0] == expected
    assert len(upstream.bodies) == 7


async def test_a_credential_that_is_refused_takes_the_channel_out_at_once(
    house: House, upstream: Upstream
) -> None:
    fine, upstream.script = upstream.script, upstream.says(whole(b"{}", "401 Unauthorized"))
    first, _ = await house.answer()
    upstream.script = fine

    second, _ = await house.answer()

    assert (first, second, len(upstream.bodies)) == (503, 503, 1)
