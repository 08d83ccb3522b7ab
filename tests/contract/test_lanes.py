"""The fast lane and Django's views over the same pipeline answer alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.contract.conftest import Customer
from tests.live.product import LiveProduct
from tests.live.programs import Program, free_port, wait_until

LIMITS = {f"x-ratelimit-{part}-{what}" for part in ("limit", "remaining") for what in ("requests", "tokens")}


@dataclass(frozen=True)
class Case:
    """One request and what both lanes must make of it."""

    name: str
    status: int
    body: dict[str, Any] | bytes
    code: str = ""
    method: str = "POST"
    key: str = "good"
    content_type: str = "application/json"
    path: str = "/chat/completions"
    key_header: str = "authorization"


def chat(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "max_tokens": 50, **fields}


CASES = [
    Case("whole", 200, chat("hello [[sandbox tokens=7]]")),
    Case("stream", 200, chat("hello [[sandbox tokens=7]]", stream=True)),
    Case(
        "stream with usage",
        200,
        chat("hi [[sandbox tokens=7]]", stream=True, stream_options={"include_usage": True}),
    ),
    Case("broken stream", 200, chat("hi [[sandbox tokens=9 close_after=4]]", stream=True)),
    Case("no json", 400, b"{", code="invalid_request"),
    Case("wrong field", 400, chat("hi", temperature=9), code="invalid_request"),
    Case("refused upstream", 400, chat("[[sandbox error=400]]"), code="invalid_request"),
    Case("bad key", 401, chat("hi"), code="invalid_api_key", key="bad"),
    Case("no key", 401, chat("hi"), code="invalid_api_key", key=""),
    Case("too dear", 402, chat("hi", max_tokens=9_000_000), code="insufficient_quota"),
    Case("no such model", 404, chat("hi", model="nope"), code="model_not_found"),
    Case("wrong method", 405, b"", code="invalid_request", method="GET"),
    Case("no json by its own word", 415, chat("hi"), code="invalid_request", content_type="text/plain"),
]


HELLO = "Hello. [[sandbox tokens=7]]"
MESSAGE = {"model": "gpt-4o", "max_tokens": 50, "messages": [{"role": "user", "content": HELLO}]}
RESPONSE = {"model": "gpt-4o", "input": HELLO, "store": False}
FORM = b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
RECORDING = (
    FORM % (b"model", b"", b"whisper-1") + FORM % (b"file", b'; filename="a.mp3"', b"ID3" * 99) + b"--x--\r\n"
)
MULTIPART = "multipart/form-data; boundary=x"
# Every other hot path: what it takes, a body that it does not, and a model that it does not serve.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("/completions", {"model": "gpt-4o", "prompt": HELLO, "max_tokens": 50}),
    ("/messages", MESSAGE),
    ("/messages", MESSAGE | {"stream": True}),
    ("/messages/count_tokens", {"model": "gpt-4o", "messages": MESSAGE["messages"]}),
    ("/responses", RESPONSE),
    ("/responses", RESPONSE | {"stream": True}),
    ("/responses/input_tokens", {"model": "gpt-4o", "input": HELLO}),
    ("/embeddings", {"model": "text-embedding-3-small", "input": "Hello."}),
    ("/moderations", {"input": "Hello."}),
    ("/images/generations", {"model": "gpt-image-1", "prompt": "A hat.", "quality": "low"}),
    ("/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Hello."}),
]


def other_cases() -> Iterator[Case]:
    for path, body in OTHERS:
        name = path + (" stream" if body.get("stream") else "")
        yield Case(name, 200, body, path=path)
        yield Case(f"{name} by x-api-key", 200, body, path=path, key_header="x-api-key")
        yield Case(f"{name} with a bad key", 401, body, path=path, key="bad")
        yield Case(f"{name} without a key", 401, body, path=path, key="")
        yield Case(f"{name} without such a model", 404, body | {"model": "nope"}, path=path)
        yield Case(f"{name} with a strange field", 400, body | {"strange": 1}, path=path)
        yield Case(f"{name} of a closed array", 400, b"[]", path=path)
    path = "/audio/transcriptions"
    yield Case(path, 200, RECORDING, path=path, content_type=MULTIPART)
    yield Case(f"{path} without a key", 401, RECORDING, path=path, content_type=MULTIPART, key="")
    yield Case(f"{path} cut off", 400, RECORDING[:-9], path=path, content_type=MULTIPART)
    yield Case(f"{path} as JSON", 415, {"model": "whisper-1"}, path=path)


@pytest.fixture(scope="module")
def slow_lane(live_gateway: LiveProduct) -> Iterator[str]:
    """Run the application with Django's views in front of the pipeline."""
    port = free_port()
    program = Program(
        ["-m", "uvicorn", "tests.live.slow_lane:application", "--port", str(port), "--log-level", "warning"],
        log=live_gateway.folder / "slow-lane.log",
        environment=live_gateway.environment,
    )
    base = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx2.get(f"{base}/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    try:
        wait_until(is_up, what="the slow lane is ready")
        yield f"{base}/v1"
    finally:
        program.stop()


def answer(base_url: str, customer: Customer, case: Case) -> tuple[int, Any, set[str], httpx2.Headers]:
    keys = {"good": customer.key, "bad": customer.key[:-1] + ("y" if customer.key.endswith("x") else "x")}
    headers = {"content-type": case.content_type}
    if case.key:
        prefix = "Bearer " if case.key_header == "authorization" else ""
        headers[case.key_header] = prefix + keys[case.key]
    content = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    response = httpx2.request(case.method, base_url + case.path, headers=headers, content=content, timeout=30)
    return response.status_code, essence(response), LIMITS & set(response.headers), response.headers


VARIES = frozenset({"id", "created", "created_at", "completed_at", "item_id", "request_id", "data"})


def lasting(value: Any) -> Any:
    """Return JSON without what differs from call to call."""
    if isinstance(value, dict):
        return {key: lasting(each) for key, each in value.items() if key not in VARIES}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def other_essence(response: httpx2.Response) -> Any:
    """Return an answer of another format without what differs from call to call."""
    if response.headers["content-type"].startswith("text/event-stream"):
        return [
            lasting(json.loads(line[6:])) for line in response.text.split("\n") if line.startswith("data: ")
        ]
    if response.headers["content-type"].startswith("application/json"):
        return lasting(response.json())
    return response.content


def essence(response: httpx2.Response) -> Any:
    """Return an answer without what differs from call to call."""
    if not response.url.path.endswith("/chat/completions"):
        return other_essence(response)
    if not response.headers["content-type"].startswith("text/event-stream"):
        body: dict[str, Any] = response.json()
        return {key: value for key, value in body.items() if key not in {"id", "created"}}
    events = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    return {
        "text": "".join(
            choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
        ),
        "ends": [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1],
        "usage": [chunk["usage"] for chunk in chunks if chunk.get("usage")],
        "error": [chunk["error"]["code"] for chunk in chunks if "error" in chunk],
        "is_done": events[-1] == "[DONE]",
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_lanes_answer_alike(
    product: LiveProduct, slow_lane: str, customer: Customer, case: Case
) -> None:
    fast_status, fast, fast_limits, fast_headers = answer(product.base_url, customer, case)
    slow_status, slow, slow_limits, slow_headers = answer(slow_lane, customer, case)

    assert fast_status == slow_status == case.status
    assert fast == slow
    assert fast_limits == slow_limits
    if case.code:
        assert fast["error"]["code"] == case.code
        assert set(fast["error"]) == {"message", "type", "param", "code"}
    for headers in (fast_headers, slow_headers):
        assert headers["x-request-id"].startswith("req_")
        assert headers["content-type"] == fast_headers["content-type"]


@pytest.mark.parametrize("case", list(other_cases()), ids=lambda case: case.name)
def test_both_lanes_answer_alike_on_every_path(
    product: LiveProduct, slow_lane: str, customer: Customer, case: Case
) -> None:
    fast_status, fast, fast_limits, fast_headers = answer(product.base_url, customer, case)
    slow_status, slow, slow_limits, slow_headers = answer(slow_lane, customer, case)

    assert fast_status == slow_status == case.status, fast
    assert fast == slow
    assert fast_limits == slow_limits
    assert fast_headers["content-type"] == slow_headers["content-type"]
    for headers in (fast_headers, slow_headers):
        assert headers["x-request-id"].startswith("req_")


def test_a_broken_stream_never_ends_cleanly_in_either_lane(
    product: LiveProduct, slow_lane: str, customer: Customer
) -> None:
    case = next(case for case in CASES if case.name == "broken stream")

    for base_url in (product.base_url, slow_lane):
        _, told, _, _ = answer(base_url, customer, case)
        assert (told["ends"], told["error"], told["is_done"]) == ("error", ["upstream_error"], False)
