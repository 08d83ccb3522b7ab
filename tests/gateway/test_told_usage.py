"""What a whole answer shows of its usage is what is billed, whether it was reported, disbelieved or not told at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from billing.spool import Usage
from gateway.call import Request
from gateway.endpoints import ENDPOINTS
from gateway.pipeline import serve
from tests.gateway.house import House, Upstream, completion, whole
from tests.gateway.test_whole_streams import ANSWERS, BODIES, CHAT, MESSAGES, RESPONSES

BEYOND = 90_000_000


async def asked(house: House, adapter: str, path: str, **fields: Any) -> dict[str, Any]:
    """Return a whole answer of a house whose upstream speaks as it is told."""
    house.adapter = adapter
    await house.gateway.catalog.refresh()
    headers = {"authorization": f"Bearer {house.token}", "content-type": "application/json"}
    body = json.dumps({"model": "m", **BODIES[path], **fields}).encode()
    reply = serve(house.gateway, Request(headers, body, ENDPOINTS[path]))
    await reply.begun()
    shown = b""
    while (piece := await reply.piece()) is not None:
        shown += piece
    await house.settled()
    assert reply.status == 200, shown
    return dict(json.loads(shown))


def counted(path: str, usage: dict[str, Any]) -> tuple[int, int]:
    names = ("prompt_tokens", "completion_tokens") if path == CHAT else ("input_tokens", "output_tokens")
    return usage[names[0]], usage[names[1]]


def without_report(answer: bytes) -> bytes:
    said = json.loads(answer)
    return json.dumps({name: value for name, value in said.items() if "sage" not in name}).encode()


def disbelieved(answer: bytes) -> bytes:
    return answer.replace(b'tokens": 10', b'tokens": %d' % BEYOND).replace(
        b'TokenCount": 10', b'TokenCount": %d' % BEYOND
    )


@pytest.mark.parametrize("report", [without_report, disbelieved])
@pytest.mark.parametrize(
    ("adapter", "path"),
    [
        ("openai", CHAT), ("anthropic", CHAT), ("gemini", CHAT), ("anthropic", MESSAGES), ("openai", MESSAGES),
        ("openai_responses", RESPONSES), ("gemini", RESPONSES),
    ],
)  # fmt: skip
async def test_what_is_shown_is_what_is_billed(
    house: House, upstream: Upstream, adapter: str, path: str, report: Any
) -> None:
    upstream.script = upstream.says(whole(report(ANSWERS[adapter])))

    shown = await asked(house, adapter, path)

    (record,) = house.records(Usage)
    assert record.is_estimated
    assert counted(path, shown["usage"]) == (record.input_tokens, record.output_tokens)
    assert record.input_tokens < 100


async def test_searches_that_are_billed_are_shown(house: House, upstream: Upstream) -> None:
    said = json.loads(ANSWERS["anthropic"])
    said["usage"]["server_tool_use"] = {"web_search_requests": 3}
    house.capabilities = frozenset({"web_search"})
    upstream.script = upstream.says(whole(json.dumps(said).encode()))

    shown = await asked(house, "anthropic", CHAT, web_search_options={})

    (record,) = house.records(Usage)
    assert record.searches == shown["usage"]["server_tool_use"]["web_search_requests"] == 3


async def test_a_report_that_is_believed_passes_as_it_came(house: House, upstream: Upstream) -> None:
    told = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "theirs": 1}
    upstream.script = upstream.says(whole(completion(usage=told)))

    shown = (await asked(house, "openai", CHAT))["usage"]
    assert shown == told | {"cost": 0.000000015, "cost_nano_usd": 15}
