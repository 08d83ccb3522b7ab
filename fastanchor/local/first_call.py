"""One real call through the local stack, and the usage record it left."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx2
from django.apps import apps
from django.db import connection

from fastanchor.lib.money import exact_usd

_READY_S = 60.0
_RECORD_S = 20.0
_CREDIT_S = 20.0
_PAUSE_S = 0.05
_QUESTION = "Say hello to a developer who has just started FastAnchor."
_GREETING = """
FastAnchor is up. The first call went through the sandbox provider, which needs no key:

  POST {base_url}/chat/completions  model {model}
  {answer}
  {request_id}: {input_tokens} input + {output_tokens} output tokens cost ${cost}

  Dashboard  {dashboard_url}
  Log in     {email}  {password}
  Base URL   {base_url}
  API key    {api_key}

Call it yourself:

curl -N {base_url}/chat/completions \\
  -H 'Authorization: Bearer {api_key}' \\
  -H 'Content-Type: application/json' \\
  -d '{body}'

"""


class FirstCallFailed(Exception):
    """The stack does not do what it is for; the message is one line."""


@dataclass(frozen=True)
class FirstCall:
    """What came back and what it cost; the cost is in nano-USD."""

    request_id: str
    answer: str
    input_tokens: int
    output_tokens: int
    cost_nano: int


def wait_until_ready(urls: list[str]) -> None:
    """Return once every address answers 200; raises ``FirstCallFailed`` after a minute."""
    deadline = time.monotonic() + _READY_S
    for url in urls:
        while not _answers(url):
            if time.monotonic() > deadline:
                raise FirstCallFailed(f"{url} did not become ready within {_READY_S:.0f} seconds")
            time.sleep(_PAUSE_S)


def make_first_call(demo: dict[str, str]) -> FirstCall:
    """Call the demo's model and wait for the usage record; raises ``FirstCallFailed``."""
    response = _post_until_credit_is_known(demo)
    request_id = response.headers.get("x-request-id", "")
    if response.status_code != httpx2.codes.OK:
        raise FirstCallFailed(f"the first call was answered {response.status_code}: {response.text[:300]}")
    record = _usage_record(request_id)
    return FirstCall(
        request_id=request_id,
        answer=response.json()["choices"][0]["message"]["content"],
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cost_nano=record.cost_nano,
    )


def describe(demo: dict[str, str], call: FirstCall) -> str:
    """Return the lines that greet a newcomer."""
    body = {"model": demo["model"], "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    return _GREETING.format(
        **demo,
        answer=call.answer,
        request_id=call.request_id,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost=exact_usd(call.cost_nano),
        body=json.dumps(body),
    )


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


def _post_until_credit_is_known(demo: dict[str, str]) -> httpx2.Response:
    # After a kill -9 no hold is given until the shipper has registered those of the last run.
    deadline = time.monotonic() + _CREDIT_S
    while True:
        response = _post(demo)
        if response.status_code != httpx2.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return response
        time.sleep(_PAUSE_S)


def _post(demo: dict[str, str]) -> httpx2.Response:
    body = {"model": demo["model"], "messages": [{"role": "user", "content": _QUESTION}]}
    try:
        return httpx2.post(
            f"{demo['base_url']}/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {demo['api_key']}"},
            timeout=60,
            trust_env=False,
        )
    except httpx2.TransportError as exc:
        raise FirstCallFailed(f"the first call failed: {exc}") from exc


def _usage_record(request_id: str) -> Any:
    records = apps.get_model("billing", "UsageRecord").objects
    deadline = time.monotonic() + _RECORD_S
    try:
        while time.monotonic() < deadline:
            record = records.filter(request_id=request_id).first()
            if record is not None:
                return record
            time.sleep(_PAUSE_S)
    finally:
        connection.close()
    raise FirstCallFailed(f"no usage record of {request_id} arrived within {_RECORD_S:.0f} seconds")
