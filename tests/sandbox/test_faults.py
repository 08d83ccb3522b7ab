"""What the sandbox does when a directive orders it to go wrong."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.live.programs import wait_until
from tests.live.sandbox import LiveSandbox


def body(directive: str, *, stream: bool = True, **fields: Any) -> dict[str, Any]:
    prompt = f"[[sandbox {directive}]] Explain ledgers."
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "stream": stream, **fields}


def raw(sandbox: LiveSandbox, directive: str, *, stream: bool = True, **fields: Any) -> httpx2.Response:
    return sandbox.http.post("/v1/chat/completions", json=body(directive, stream=stream, **fields))


def events(response: httpx2.Response) -> list[str]:
    lines = response.text.splitlines()
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def test_an_error_status_comes_with_openais_body_and_the_ordered_wait(
    client: OpenAI, sandbox: LiveSandbox
) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**body("error=429 retry_after=7 nonce=n1", stream=False))

    (entry,) = sandbox.log("n1")
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"
    assert (entry["status"], entry["outcome"], entry["billed"]) == (429, "refused", False)


def test_an_error_in_mid_stream_follows_the_ordered_number_of_tokens(sandbox: LiveSandbox) -> None:
    received = events(raw(sandbox, "tokens=9 error_after=3 nonce=n1"))

    assert all(json.loads(event)["choices"][0]["delta"]["content"] for event in received[1:4])
    assert "error" in json.loads(received[4])
    assert len(received) == 5
    assert sandbox.log("n1")[0]["completion_tokens"] == 3


@pytest.mark.parametrize("after", [0, 3, 9])
def test_a_stream_can_be_cut_off_before_at_and_after_its_last_token(sandbox: LiveSandbox, after: int) -> None:
    received = _received_until_broken_off(sandbox, f"tokens=9 close_after={after} nonce=n1")

    (entry,) = sandbox.log("n1")
    assert received.count(b"data: ") == after + 1
    assert b'finish_reason":"' not in received
    assert (entry["outcome"], entry["billed"], entry["completion_tokens"]) == ("cut", after > 0, after)


def _received_until_broken_off(sandbox: LiveSandbox, directive: str) -> bytes:
    received = b""
    with sandbox.http.stream("POST", "/v1/chat/completions", json=body(directive)) as reply:
        try:
            for part in reply.iter_raw():
                received += part
        except httpx2.RemoteProtocolError:
            return received
    pytest.fail("the stream ended as if it were complete")


def test_a_stream_can_end_after_its_opening(sandbox: LiveSandbox) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        raw(sandbox, "role_only_then_close=1")


def test_an_answer_in_one_piece_can_be_cut_off_too(sandbox: LiveSandbox) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        raw(sandbox, "close_after=3", stream=False)


def test_a_connection_can_be_dropped_before_the_headers(sandbox: LiveSandbox) -> None:
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        raw(sandbox, "drop=1")


def test_a_stalled_stream_stays_open_and_silent(sandbox: LiveSandbox) -> None:
    with (
        pytest.raises(httpx2.ReadTimeout),
        sandbox.http.stream(
            "POST", "/v1/chat/completions", json=body("stall_after=2 nonce=n1"), timeout=0.3
        ) as reply,
    ):
        list(reply.iter_raw())

    wait_until(lambda: sandbox.log("n1")[0]["outcome"] == "aborted", what="the sandbox notices", within_s=2)
    assert sandbox.log("n1")[0]["completion_tokens"] == 2


@pytest.mark.parametrize("stream", [True, False])
def test_the_callers_hang_up_ends_generation_at_once(sandbox: LiveSandbox, *, stream: bool) -> None:
    content = json.dumps(body("tokens=4000 delay_ms=5 nonce=n1", stream=stream)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n".encode()
    address = (sandbox.http.base_url.host, sandbox.http.base_url.port)
    with socket.create_connection(address) as connection:
        connection.sendall(head + content)
        time.sleep(0.2)

    wait_until(lambda: sandbox.log("n1")[0]["outcome"] == "aborted", what="the hang-up is seen", within_s=1)
    (entry,) = sandbox.log("n1")
    assert 0 < entry["completion_tokens"] < 100
    assert entry["billed"]


@pytest.mark.parametrize(
    ("directive", "missing"),
    [("no_usage=1", '"usage":{'), ("no_done=1", "[DONE]"), ("no_finish=1", '"finish_reason":"')],
)
def test_parts_of_the_end_can_be_left_out(sandbox: LiveSandbox, directive: str, missing: str) -> None:
    wanted: dict[str, Any] = {"stream_options": {"include_usage": True}}

    assert missing in raw(sandbox, "tokens=3", **wanted).text
    assert missing not in raw(sandbox, f"tokens=3 {directive}", **wanted).text


def test_a_200_may_be_html_garbage_empty_or_an_error(sandbox: LiveSandbox) -> None:
    assert raw(sandbox, "html=1").headers["content-type"] == "text/html"
    assert raw(sandbox, "empty=1").content == b""
    with pytest.raises(UnicodeDecodeError):
        raw(sandbox, "garbage=1", stream=False).content.decode()
    assert "error" in json.loads(events(raw(sandbox, "error_first=1"))[0])
    assert raw(sandbox, "error_first=1", stream=False).status_code == 200


def test_events_hard_to_read_still_carry_the_same_text(client: OpenAI, sandbox: LiveSandbox) -> None:
    plain = _text(client, "tokens=9")

    assert _text(client, "tokens=9 crlf=1 comments=1 split=1 spaced=1") == plain
    assert "\r\n\r\n" in raw(sandbox, "tokens=2 crlf=1").text
    assert raw(sandbox, "tokens=2 comments=1").text.count(": keep-alive\n\n") == 2
    assert len(_text(client, "tokens=2 big_line=70000")) > 70_000


def _text(client: OpenAI, directive: str) -> str:
    chunks = client.chat.completions.create(**body(directive))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_the_answer_may_name_another_model_than_was_asked_for(client: OpenAI) -> None:
    reply = client.chat.completions.create(**body("model=gpt-4o-2024-08-06", stream=False))
    chunks = list(client.chat.completions.create(**body("model=gpt-4o-2024-08-06")))

    assert {reply.model, *(chunk.model for chunk in chunks)} == {"gpt-4o-2024-08-06"}


def test_usage_can_be_a_lie(client: OpenAI) -> None:
    usage = client.chat.completions.create(
        **body("usage_in=1000 usage_cached=400 usage_out=2", stream=False)
    ).usage

    assert usage.prompt_tokens == 1000
    assert usage.prompt_tokens_details.cached_tokens == 400
    assert usage.completion_tokens == 2


def test_pauses_are_kept(sandbox: LiveSandbox) -> None:
    started = time.monotonic()
    raw(sandbox, "tokens=4 header_ms=30 first_ms=40 delay_ms=20")

    assert 0.15 <= time.monotonic() - started < 1.5


def test_a_demanded_key_is_demanded(client: OpenAI, sandbox: LiveSandbox) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**body("key=other", stream=False))

    right = client.with_options(api_key="other").chat.completions.create(**body("key=other", stream=False))
    assert right.choices[0].message.content


def test_requests_fail_as_often_as_the_server_is_told(sandbox: LiveSandbox) -> None:
    sandbox.fail(503, count=2)

    statuses = [raw(sandbox, "tokens=1").status_code for _ in range(3)]

    assert statuses == [503, 503, 200]


def test_a_whole_instance_can_be_out_of_order(tmp_path: Path) -> None:
    dead = LiveSandbox(tmp_path / "log", options=("--fail-status", "502"))
    try:
        assert raw(dead, "tokens=1").status_code == 502
        assert dead.http.get("/healthz").status_code == 200
    finally:
        dead.stop()


@pytest.mark.parametrize("directive", ["tokens=many", "tokns=3", 'text="open'])
def test_a_directive_with_a_typing_error_is_refused(sandbox: LiveSandbox, directive: str) -> None:
    reply = raw(sandbox, directive)

    assert reply.status_code == 400
    assert "sandbox" in reply.json()["error"]["message"]


def test_a_header_orders_as_well_as_the_prompt(sandbox: LiveSandbox) -> None:
    reply = sandbox.http.post(
        "/v1/chat/completions", json=body("tokens=3"), headers={"x-sandbox": "error=404"}
    )

    assert reply.status_code == 404


@pytest.mark.parametrize(
    ("content", "param"),
    [(b"{", None), (b'{"messages":[{}]}', "model"), (b'{"model":"m","messages":[]}', "messages")],
)
def test_a_malformed_request_is_refused_as_openai_does(
    sandbox: LiveSandbox, content: bytes, param: str | None
) -> None:
    reply = sandbox.http.post("/v1/chat/completions", content=content)

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert reply.json()["error"]["param"] == param


def test_the_log_shows_what_was_sent(client: OpenAI, sandbox: LiveSandbox) -> None:
    client.chat.completions.create(**body("nonce=n1 tokens=4", stream=False))
    client.chat.completions.create(**body("nonce=n2 tokens=4", stream=False))

    (entry,) = sandbox.log("n1")
    assert entry["body"]["model"] == "gpt-4o"
    assert entry["headers"]["authorization"] == "Bearer none needed"
    assert (entry["completion_tokens"], entry["billed"], entry["outcome"]) == (4, True, "finished")
    assert [entry["nonce"] for entry in sandbox.log()] == ["n1", "n2"]


@pytest.mark.parametrize("stream", [True, False])
def test_the_log_knows_the_id_of_each_answer(sandbox: LiveSandbox, *, stream: bool) -> None:
    received = raw(sandbox, "nonce=n1 tokens=2", stream=stream).text

    assert f'"id":"{sandbox.log("n1")[0]["answer_id"]}"' in received


def test_a_port_in_use_is_one_clear_line(sandbox: LiveSandbox, tmp_path: Path) -> None:
    port = str(sandbox.http.base_url.port)
    with pytest.raises(RuntimeError, match=rf"^sandbox: cannot listen on 127.0.0.1:{port}: [^\n]+\n$"):
        LiveSandbox(tmp_path / "log", options=("--port", port))
