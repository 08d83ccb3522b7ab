"""The sandbox as Anthropic, asked by Anthropic's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.live.sandbox import LiveSandbox

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3, "maximum": 5}},
        "required": ["city", "days"],
    },
}
SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
THINKING = {"type": "enabled", "budget_tokens": 2000}


@pytest.fixture
def claude(sandbox: LiveSandbox) -> Iterator[Anthropic]:
    """Return the SDK as anyone would use it, without its own retries."""
    url = sandbox.base_url_of("anthropic").removesuffix("/v1")
    with Anthropic(base_url=url, api_key="none needed", max_retries=0) as client:
        yield client


def body(prompt: str | list[Any], **fields: Any) -> dict[str, Any]:
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return {"model": "claude-haiku-4-20250514", "max_tokens": 4000, "messages": messages, **fields}


def ask(claude: Anthropic, prompt: str | list[Any], **fields: Any) -> Message:
    """Return a whole answer after checking that the stream of the same request gives the same."""
    whole = _checked(claude.messages.create(**body(prompt, **fields)))
    with claude.messages.stream(**body(prompt, **fields)) as stream:
        streamed = stream.get_final_message()
    assert _told(streamed) == _told(whole)
    return whole


def _checked(message: Message) -> Message:
    """Validate against the types of the SDK, which itself takes anything."""
    return Message.model_validate(message.model_dump())


def _told(message: Message) -> Any:
    blocks = [block.model_dump(exclude={"id", "tool_use_id"}, exclude_none=True) for block in message.content]
    return (blocks, message.stop_reason, message.stop_sequence, message.usage.output_tokens)


def refused(claude: Anthropic, prompt: str | list[Any], **fields: Any) -> str:
    """Return the message of a 400."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(**{**body(prompt), **fields})
    content: Any = caught.value.body
    assert content["type"] == "error"
    assert content["error"]["type"] == "invalid_request_error"
    assert content["request_id"].startswith("req_")
    return str(content["error"]["message"])


def test_text_comes_whole_and_in_a_stream_of_blocks(claude: Anthropic, sandbox: LiveSandbox) -> None:
    reply = ask(claude, "Explain ledgers.")
    events = _events(sandbox, "[[sandbox tokens=2]] Explain ledgers.")

    assert reply.stop_reason == "end_turn"
    assert "ledgers" in reply.content[0].text.lower()  # type: ignore[union-attr]
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    # The output is counted up: almost nothing at first, all of it at the end.
    assert events[0][1]["message"]["usage"]["output_tokens"] == 1
    assert events[-2][1]["usage"]["output_tokens"] == 2


def _events(sandbox: LiveSandbox, prompt: str, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    reply = sandbox.http.post(
        "/anthropic/v1/messages",
        json=body(prompt, stream=True, **fields),
        headers={"x-api-key": "k", "anthropic-version": "2023-06-01"},
    )
    blocks = [block.split("\n") for block in reply.text.strip().split("\n\n")]
    events = [
        (block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks
    ]
    for name, event in events:
        if name != "ping":
            _EVENT.validate_python(event)
    return events


def test_a_thought_is_signed_and_must_come_back_as_it_was(claude: Anthropic) -> None:
    question = {"role": "user", "content": '[[sandbox think="Which city?"]] Weather in Paris?'}
    reply = ask(claude, [question], tools=[WEATHER], thinking=THINKING)
    thought, call = (block.model_dump(exclude_none=True) for block in reply.content)
    result = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "21 degrees"}],
    }

    def turn(*blocks: dict[str, Any]) -> list[Any]:
        return [question, {"role": "assistant", "content": list(blocks)}, result]

    assert (thought["thinking"], reply.stop_reason) == ("Which city?", "tool_use")
    assert 3 <= call["input"]["days"] <= 5
    assert reply.usage.output_tokens_details is not None
    assert reply.usage.output_tokens_details.thinking_tokens == 3
    fields: dict[str, Any] = {"tools": [WEATHER], "thinking": THINKING}
    assert ask(claude, turn(thought, call), **fields).stop_reason == "end_turn"
    assert "Expected `thinking`" in refused(claude, turn(call), **fields)
    assert "signature" in refused(claude, turn({**thought, "thinking": "Other"}, call), **fields)
    assert "signature" in refused(claude, turn({**thought, "signature": "x"}, call), **fields)
    unsigned = {"type": "thinking", "thinking": thought["thinking"]}
    assert "signature: Field required" in refused(claude, turn(unsigned, call), **fields)
    # Where no thoughts are asked for, none are demanded.
    assert ask(claude, turn(call), tools=[WEATHER]).stop_reason == "end_turn"


def test_each_event_is_one_of_the_sdks(sandbox: LiveSandbox) -> None:
    assert (
        len(_events(sandbox, "[[sandbox think=3 call=get_weather]]", tools=[WEATHER], thinking=THINKING)) > 9
    )
    assert len(_events(sandbox, "[[sandbox search=x tokens=2 pings]]", tools=[SEARCH])) > 9
    assert len(_events(sandbox, "[[sandbox redacted think=3 refuse]]", thinking=THINKING)) > 7


def test_a_thought_may_be_redacted_or_hidden(claude: Anthropic) -> None:
    redacted = ask(claude, "[[sandbox redacted think=5 tokens=2]] Hm?", thinking=THINKING)
    hidden = ask(
        claude, "[[sandbox think=5 tokens=2]] Hm?", thinking={"type": "adaptive", "display": "omitted"}
    )
    answers = [{"role": "assistant", "content": reply.content} for reply in (redacted, hidden)]

    assert [block.type for block in redacted.content] == ["redacted_thinking", "text"]
    assert hidden.content[0].thinking == ""  # type: ignore[union-attr]
    assert redacted.usage.output_tokens == hidden.usage.output_tokens == 7
    for answer in answers:
        again = [{"role": "user", "content": "Hm?"}, answer, {"role": "user", "content": "And?"}]
        assert ask(claude, again, thinking=THINKING).content


def test_calls_and_results_must_stand_side_by_side(claude: Anthropic) -> None:
    asked = {"role": "user", "content": "Weather?"}
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "w", "input": {}}]}
    given = {"type": "tool_result", "tool_use_id": "t1", "content": "fine"}
    text = {"type": "text", "text": "There."}

    def user(*blocks: dict[str, Any]) -> dict[str, Any]:
        return {"role": "user", "content": list(blocks)}

    assert "without `tool_result`" in refused(claude, [asked, called, user(text)])
    assert "unexpected `tool_use_id`" in refused(claude, [asked, user(given)])
    assert "before any other" in refused(claude, [asked, called, user(text, given)])
    assert claude.messages.create(**body([asked, called, user(given, text)])).content


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"extra_body": {"max_tokens": None}}, "max_tokens: Field required"),
        ({"extra_body": {"seed": 1}}, "seed: Extra inputs are not permitted"),
        ({"extra_body": {"temperature": 0.5}, "thinking": THINKING}, "`temperature` may only be set to 1"),
        ({"extra_body": {"top_k": 5}, "thinking": THINKING}, "`top_k` must be unset"),
        ({"extra_body": {"temperature": 1.5}}, "temperature: Input should be"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, "must be greater than"),
        ({"thinking": THINKING, "tools": [WEATHER], "tool_choice": {"type": "any"}}, "forces tool use"),
        ({"extra_body": {"max_tokens": 900_000}}, "maximum allowed number of output tokens"),
        ({"tools": [{"name": "no spaces", "input_schema": {"type": "object"}}]}, "should match pattern"),
        ({"tools": [{"name": "a", "input_schema": {"type": "string"}}]}, "input_schema.type"),
        ({"model": "claude-opus-4-8", "thinking": THINKING}, "adaptive"),
        ({"model": "claude-opus-4-8", "extra_body": {"temperature": 1}}, "not supported for this model"),
    ],
)
def test_what_anthropic_refuses_is_refused(claude: Anthropic, fields: dict[str, Any], complaint: str) -> None:
    assert complaint in refused(claude, "Hm?", **fields)


def test_messages_are_refused_for_their_shape_and_size(claude: Anthropic) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    blocks = [{"type": "text", "text": "Hm?", **mark}] * 5

    assert "maximum of 4 blocks" in refused(claude, [{"role": "user", "content": blocks}])
    assert "non-empty" in refused(claude, [{"role": "user", "content": [{"type": "text", "text": ""}]}])
    assert "prompt is too long" in refused(claude, "ledger " * 700_000)
    assert "trailing whitespace" in refused(
        claude, [{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": "So "}]
    )


def test_headers_are_demanded(sandbox: LiveSandbox) -> None:
    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return int(sandbox.http.post("/anthropic/v1/messages", json=body("Hm?"), headers=named).status_code)

    assert status(anthropic_version="2023-06-01") == 401
    assert status(x_api_key="k") == 400
    assert status(x_api_key="k", anthropic_version="2023-06-01") == 200
    assert status(authorization="Bearer k", anthropic_version="2026-10-21") == 200


def test_marks_write_the_cache_and_the_same_prefix_reads_it(claude: Anthropic) -> None:
    def usage(ttl: str = "5m", ending: str = "one") -> Any:
        mark = {"type": "ephemeral", "ttl": ttl}
        system = [{"type": "text", "text": "ledger " * 1000 + ttl, "cache_control": mark}]
        return claude.messages.create(**body(ending, system=system)).usage

    first, again, long = usage(), usage(ending="two"), usage("1h")

    assert first.cache_creation_input_tokens == again.cache_read_input_tokens > 1024
    assert first.cache_read_input_tokens == again.cache_creation_input_tokens == 0
    assert 0 < again.input_tokens < 20
    assert long.cache_creation.ephemeral_1h_input_tokens == long.cache_creation_input_tokens > 1024
    assert claude.messages.create(**body("ledger " * 2000)).usage.cache_creation_input_tokens == 0


def test_a_search_is_shown_counted_and_cited(claude: Anthropic) -> None:
    reply = ask(claude, '[[sandbox search="ledgers today"]] Ledgers?', tools=[SEARCH])

    searching, found, text = reply.content
    assert searching.input == {"query": "ledgers today"}  # type: ignore[union-attr]
    assert found.content[0].url.startswith("https://")  # type: ignore[union-attr,index]
    assert text.citations[0].cited_text in text.text  # type: ignore[union-attr,index]
    assert reply.usage.server_tool_use is not None
    assert reply.usage.server_tool_use.web_search_requests == 1


def test_every_end_has_its_reason(claude: Anthropic) -> None:
    assert ask(claude, "[[sandbox tokens=50]] Hm?", max_tokens=7).stop_reason == "max_tokens"
    assert ask(claude, "[[sandbox length]] Hm?").stop_reason == "max_tokens"
    stopped = ask(claude, '[[sandbox text="one two three"]]', stop_sequences=["two"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "two")
    refusal = ask(claude, "[[sandbox refuse]] Hm?")
    assert refusal.stop_reason == "refusal"
    assert refusal.stop_details is not None
    paused = claude.messages.create(**body("[[sandbox finish=pause_turn]] Hm?"))
    assert paused.stop_reason == "pause_turn"


def test_an_answer_follows_a_schema(claude: Anthropic) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    format_: Any = {"format": {"type": "json_schema", "schema": schema}}

    reply = ask(claude, "Ada?", output_config=format_)

    assert isinstance(json.loads(reply.content[0].text)["age"], int)  # type: ignore[union-attr]


def test_tokens_are_counted_without_an_answer(claude: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "Explain ledgers."}]

    counted = claude.messages.count_tokens(model="claude-haiku-4-20250514", messages=messages)

    assert counted.input_tokens == claude.messages.create(**body(messages)).usage.input_tokens


def test_errors_are_shaped_as_anthropics(claude: Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        claude.messages.create(**body("[[sandbox error=529]]"))
    with pytest.raises(anthropic.RateLimitError) as limited:
        claude.messages.create(**body("[[sandbox error=429 retry_after=7]]"))
    with pytest.raises(anthropic.APIStatusError) as in_stream:
        list(claude.messages.create(**body("[[sandbox error_event=overloaded_error]] Hm?", stream=True)))

    assert (overloaded.value.status_code, overloaded.value.type) == (529, "overloaded_error")
    assert limited.value.response.headers["retry-after"] == "7"
    assert (in_stream.value.status_code, in_stream.value.type) == (200, "overloaded_error")
