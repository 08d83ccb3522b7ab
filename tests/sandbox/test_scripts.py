"""Directives that every protocol obeys: scripted tasks, ordered calls, and the same faults everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from fastanchor.local.sandbox.script import BadScript, Step, Wanted, step_at
from tests.live.sandbox import LiveSandbox

SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}


@dataclass(frozen=True)
class Protocol:
    """One protocol, as a client of its own would use it."""

    path: str
    body: Callable[[list[Any]], dict[str, Any]]
    user: Callable[[str], Any]
    # The call in an answer as (name, arguments), and the turns that answer it.
    call: Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]
    turns: Callable[[dict[str, Any], str], list[Any]]
    text: Callable[[dict[str, Any]], str]
    stream: dict[str, Any]
    stream_path: str = ""

    def ask(self, sandbox: LiveSandbox, turns: list[Any], **fields: Any) -> dict[str, Any]:
        return dict(self.post(sandbox, turns, **fields).raise_for_status().json())

    def post(self, sandbox: LiveSandbox, turns: list[Any], **fields: Any) -> httpx2.Response:
        path = self.stream_path if fields and self.stream_path else self.path
        headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
        return sandbox.http.post(path, json={**self.body(turns), **fields}, headers=headers)

    def flow(self, sandbox: LiveSandbox, directive: str) -> str:
        """Return the text of a stream."""
        path = self.stream_path or self.path
        content = {**self.body([self.user(f"[[sandbox {directive}]] Hm?")]), **self.stream}
        headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
        return str(sandbox.http.post(path, json=content, headers=headers).text)


def _chat_call(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    called = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    return called["name"], json.loads(called["arguments"])


def _chat_turns(answer: dict[str, Any], result: str) -> list[Any]:
    message = answer["choices"][0]["message"]
    given = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": result}
    return [message, given]


def _responses_call(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    called = answer["output"][-1]
    return called["name"], json.loads(called["arguments"])


def _responses_turns(answer: dict[str, Any], result: str) -> list[Any]:
    given = {
        "type": "function_call_output",
        "call_id": answer["output"][-1]["call_id"],
        "output": result,
    }
    return [*answer["output"], given]


def _messages_call(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return answer["content"][-1]["name"], answer["content"][-1]["input"]


def _messages_turns(answer: dict[str, Any], result: str) -> list[Any]:
    given = {"type": "tool_result", "tool_use_id": answer["content"][-1]["id"], "content": result}
    return [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [given]}]


def _gemini_call(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    called = answer["candidates"][0]["content"]["parts"][-1]["functionCall"]
    return called["name"], called["args"]


def _gemini_turns(answer: dict[str, Any], result: str) -> list[Any]:
    given = {"functionResponse": {"name": _gemini_call(answer)[0], "response": {"output": result}}}
    return [answer["candidates"][0]["content"], {"role": "user", "parts": [given]}]


_CHAT_TOOL = {"type": "function", "function": {"name": "shell", "parameters": SCHEMA}}


def _chat(path: str, model: str) -> Protocol:
    return Protocol(
        path,
        lambda turns: {"model": model, "messages": turns, "tools": [_CHAT_TOOL]},
        lambda text: {"role": "user", "content": text},
        _chat_call,
        _chat_turns,
        lambda answer: str(answer["choices"][0]["message"]["content"]),
        {"stream": True, "stream_options": {"include_usage": True}},
    )


PROTOCOLS = {
    "chat": _chat("/v1/chat/completions", "gpt-4o"),
    "deepseek": _chat("/deepseek/chat/completions", "deepseek-v4-flash"),
    "qwen": _chat("/qwen/v1/chat/completions", "qwen-3.7-max"),
    "responses": Protocol(
        "/v1/responses",
        lambda turns: {
            "model": "gpt-4o",
            "input": turns,
            "tools": [{"type": "function", "name": "shell", "parameters": SCHEMA}],
        },
        lambda text: {"role": "user", "content": text},
        _responses_call,
        _responses_turns,
        lambda answer: str(answer["output"][-1]["content"][0]["text"]),
        {"stream": True},
    ),
    "messages": Protocol(
        "/anthropic/v1/messages",
        lambda turns: {
            "model": "claude-haiku-4-20250514",
            "max_tokens": 2000,
            "messages": turns,
            "tools": [{"name": "shell", "input_schema": SCHEMA}],
        },
        lambda text: {"role": "user", "content": text},
        _messages_call,
        _messages_turns,
        lambda answer: str(answer["content"][-1]["text"]),
        {"stream": True},
    ),
    "gemini": Protocol(
        "/gemini/v1beta/models/gemini-3.0-pro:generateContent",
        lambda turns: {
            "contents": turns,
            "tools": [{"functionDeclarations": [{"name": "shell", "parametersJsonSchema": SCHEMA}]}],
        },
        lambda text: {"role": "user", "parts": [{"text": text}]},
        _gemini_call,
        _gemini_turns,
        lambda answer: str(answer["candidates"][0]["content"]["parts"][-1]["text"]),
        {},
        "/gemini/v1beta/models/gemini-3.0-pro:streamGenerateContent?alt=sse",
    ),
}


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Return each protocol in turn."""
    return PROTOCOLS[request.param]


def test_a_scripted_task_goes_on_with_each_result(sandbox: LiveSandbox, protocol: Protocol) -> None:
    script = 'call:shell {"command":"ls | wc"}|text:So. + call:shell {"command":"pwd"}|text:done'
    turns = [protocol.user(f"[[sandbox nonce=n1 script={json.dumps(script)}]] Look around.")]

    first = protocol.ask(sandbox, turns)
    turns += protocol.turns(first, "3")
    second = protocol.ask(sandbox, turns)
    turns += protocol.turns(second, "/")
    third = protocol.ask(sandbox, turns)

    assert protocol.call(first) == ("shell", {"command": "ls | wc"})
    assert protocol.call(second) == ("shell", {"command": "pwd"})
    assert "So." in json.dumps(second)
    assert protocol.text(third) == "done"
    entries = sandbox.log("n1")
    assert [entry["path"] for entry in entries] == [protocol.path.split("?")[0]] * 3
    assert entries[0]["body"] == protocol.body(turns[:1])


def test_a_new_order_begins_anew(sandbox: LiveSandbox, protocol: Protocol) -> None:
    turns = [protocol.user("[[sandbox call=shell]] Look.")]
    turns += protocol.turns(protocol.ask(sandbox, turns), "3")
    script = "call:shell {}|text:done"

    again = [*turns, protocol.user(f'[[sandbox script="{script}"]] Again.')]

    assert protocol.call(protocol.ask(sandbox, again))[0] == "shell"


def test_an_ordered_call_is_made_once_with_the_ordered_arguments(
    sandbox: LiveSandbox, protocol: Protocol
) -> None:
    turns = [protocol.user("""[[sandbox call=shell arguments='{"command":"]] \\"x\\""}']] Look.""")]

    answer = protocol.ask(sandbox, turns)

    assert protocol.call(answer) == ("shell", {"command": ']] "x"'})
    assert protocol.text(protocol.ask(sandbox, [*turns, *protocol.turns(answer, "3")]))


def test_a_stream_can_break_off_everywhere(sandbox: LiveSandbox, protocol: Protocol) -> None:
    for directive in ("text=hello close_after=1", "close_after=1", "role_only_then_close"):
        with pytest.raises(httpx2.RemoteProtocolError):
            protocol.flow(sandbox, directive)


def test_every_protocol_can_be_hard_to_read(sandbox: LiveSandbox, protocol: Protocol) -> None:
    plain = protocol.flow(sandbox, "text='one two'")
    odd = protocol.flow(sandbox, "text='one two' crlf comments split spaced")

    assert ": keep-alive\r\n\r\n" in odd
    assert "\r\n\r\n" not in plain
    comments = odd.count(": keep-alive")
    assert len(odd.split("\r\n\r\n")) - comments == len(plain.split("\n\n"))
    assert len(protocol.flow(sandbox, "text=x big_line=70000")) > 70_000


def test_every_protocol_can_leave_out_its_usage_and_its_end(sandbox: LiveSandbox, protocol: Protocol) -> None:
    asked = "text=hello usage_in=4711"

    assert "4711" in protocol.flow(sandbox, asked)
    assert "4711" not in protocol.flow(sandbox, f"{asked} no_usage")
    assert len(protocol.flow(sandbox, f"{asked} no_finish")) < len(protocol.flow(sandbox, asked))


def test_every_protocol_can_refuse_and_talk_nonsense(sandbox: LiveSandbox, protocol: Protocol) -> None:
    def answer(directive: str) -> httpx2.Response:
        return protocol.post(sandbox, [protocol.user(f"[[sandbox {directive}]]")])

    assert answer("error=503").status_code == 503
    assert "error" in answer("error=429").json()
    assert "error" in answer("error_first").json()
    assert answer("html").headers["content-type"] == "text/html"
    assert answer("empty").content == b""
    assert answer("key=other").status_code in {400, 401}
    assert answer("key=k text=x").status_code == 200
    assert answer("tokns=3").status_code == 400
    assert "error" in protocol.flow(sandbox, "text='one two' error_after=1").splitlines()[-1 - 1]


def test_what_is_reported_can_be_ordered(sandbox: LiveSandbox, protocol: Protocol) -> None:
    text = protocol.flow(sandbox, "text=x usage_in=5000 usage_cached=1234 usage_out=77")

    assert "1234" in text
    assert "77" in text


def test_a_program_with_many_tools_is_told_what_to_do_or_gets_text(sandbox: LiveSandbox) -> None:
    tools = [{"type": "function", "function": {"name": f"tool_{number}"}} for number in range(4)]
    messages = [{"role": "user", "content": "Use tool_1."}]

    reply = sandbox.http.post(
        "/v1/chat/completions", json={"model": "m", "messages": messages, "tools": tools}
    )

    assert reply.json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("results", "step"),
    [
        (0, Step(text="a", calls=(Wanted("x", "1 | 2"), Wanted("y")))),
        (1, Step(text="a", calls=(Wanted("x", "1 | 2"), Wanted("y")))),
        (2, Step(think="hm", text="b")),
        (3, Step(think="hm", text="b")),
    ],
)
def test_a_script_counts_results(results: int, step: Step) -> None:
    assert step_at("text:a + call:x 1 | 2 + call:y | think:hm + text:b", results) == step


def test_a_script_that_ends_with_a_call_says_so() -> None:
    assert step_at("call:x", 1).text
    with pytest.raises(BadScript):
        step_at("shout:hello", 0)


def test_the_log_shows_a_request_that_was_refused(sandbox: LiveSandbox) -> None:
    content = {"model": "m", "input": "[[sandbox tokens=3 nonce=n1]] Hm?", "stop": ["x"]}

    sandbox.http.post("/v1/responses", json=content)

    (entry,) = sandbox.log("n1")
    assert (entry["status"], entry["outcome"], entry["body"]) == (400, "refused", content)


def test_a_value_of_another_type_is_a_400_of_the_protocol(sandbox: LiveSandbox, protocol: Protocol) -> None:
    content = protocol.body([protocol.user("Hm?")])
    headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}

    for name in content:
        for junk in (1, [None], {"a": 1}, [[1]]):
            reply = sandbox.http.post(protocol.path, json={**content, name: junk}, headers=headers)

            assert reply.status_code in {200, 400, 422}
            assert "error" in reply.json() or reply.status_code == 200
