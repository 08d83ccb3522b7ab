"""The sandbox as OpenAI's Responses, asked by OpenAI's own client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.live.sandbox import LiveSandbox

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PATCH: dict[str, Any] = {"type": "custom", "name": "apply_patch"}
SEARCH: dict[str, Any] = {"type": "web_search"}
SEALED = {"include": ["reasoning.encrypted_content"], "store": False}
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def body(prompt: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "input": prompt, **fields}


def ask(client: OpenAI, prompt: Any, **fields: Any) -> Response:
    """Return a whole answer after checking that the stream of the same request gives the same."""
    whole = client.responses.create(**body(prompt, **fields))
    last = _stream(client, prompt, **fields)[-1]
    assert _told(last.response) == _told(whole)
    return Response.model_validate(whole.model_dump(by_alias=True))


def _stream(client: OpenAI, prompt: Any, **fields: Any) -> list[Any]:
    events = list(client.responses.create(**body(prompt, **fields), stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    return [_EVENT.validate_python(event.model_dump(by_alias=True)) for event in events]


def _told(response: Response) -> Any:
    ids = {"id", "call_id", "encrypted_content"}
    items = [item.model_dump(exclude=ids) for item in response.output]
    return (items, response.status, response.incomplete_details, response.usage)


def refused(client: OpenAI, prompt: Any, **fields: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        client.responses.create(**body(prompt, **fields))
    return caught.value


def test_the_helper_of_the_sdk_follows_a_stream(client: OpenAI) -> None:
    with client.responses.stream(**body("Weather in Paris?", tools=[WEATHER])) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert kinds[2] == "response.output_item.added"
    assert kinds[-3:] == [
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert json.loads(final.output[0].arguments) == {"city": "Paris"}  # type: ignore[union-attr, arg-type]


def test_text_passes_through_every_stage(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox tokens=2]] Explain ledgers.")
    kinds = [event.type for event in _stream(client, "[[sandbox tokens=2]] Explain ledgers.")]

    assert reply.status == "completed"
    assert reply.usage is not None
    assert reply.usage.output_tokens == 2
    assert kinds[2:] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_thoughts_come_sealed_and_must_come_back_so(client: OpenAI) -> None:
    question = {"role": "user", "content": "[[sandbox think=5]] Weather in Paris?"}
    fields: dict[str, Any] = {
        **SEALED,
        "tools": [WEATHER],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    reply = ask(client, [question], **fields)
    thought, call = (item.model_dump(exclude_none=True) for item in reply.output)
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}
    # The SDK's two calls of ``ask`` gave two answers; go on with the one in hand.
    other = {**thought, "encrypted_content": thought["encrypted_content"][::-1]}
    unsealed = {key: value for key, value in thought.items() if key != "encrypted_content"}

    assert thought["summary"][0]["text"]
    assert reply.usage is not None
    assert reply.usage.output_tokens_details.reasoning_tokens == 5
    assert ask(client, [question, thought, call, result], **fields).output_text
    assert refused(client, [question, other, call, result], **fields).code == "invalid_encrypted_content"
    assert refused(client, [question, unsealed, call, result], **fields).status_code == 404
    assert "required 'reasoning' item" in refused(client, [question, call, result], **fields).message
    without_id = {key: value for key, value in call.items() if key != "id"}
    assert ask(client, [question, without_id, result], **fields).output_text
    nameless, forged = (
        {key: value for key, value in each.items() if key != "id"} for each in (thought, other)
    )
    assert ask(client, [question, nameless, without_id, result], **fields).output_text
    assert (
        refused(client, [question, forged, without_id, result], **fields).code == "invalid_encrypted_content"
    )


def test_calls_and_results_belong_together(client: OpenAI) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "w", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "fine"}

    assert "No tool output found" in refused(client, [{"role": "user", "content": "?"}, call]).message
    assert "No tool call found" in refused(client, [{"role": "user", "content": "?"}, result]).message


def test_a_custom_tool_takes_free_text(client: OpenAI) -> None:
    reply = ask(client, "[[sandbox call=apply_patch arguments='*** Begin Patch']]", tools=[PATCH])
    item = reply.output[0].model_dump(exclude_none=True)
    result = {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "done"}

    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin Patch")
    history = [{"role": "user", "content": "Patch it."}, item, result]
    assert ask(client, history, tools=[PATCH]).output_text


def test_a_namespace_holds_tools(client: OpenAI) -> None:
    tools = [{"type": "namespace", "name": "files", "description": "Files.", "tools": [WEATHER]}]

    item = client.responses.create(**body("[[sandbox call=get_weather]]", tools=tools)).output[0]

    assert item.namespace == "files"


def test_a_search_is_an_item_with_sources(client: OpenAI) -> None:
    reply = ask(client, '[[sandbox search="ledgers today"]] Ledgers?', tools=[SEARCH])
    kinds = [event.type for event in _stream(client, "[[sandbox search=x]] Ledgers?", tools=[SEARCH])]

    search, message = reply.output
    assert search.action.query == "ledgers today"  # type: ignore[union-attr]
    assert message.content[0].annotations[0].url.startswith("https://")  # type: ignore[union-attr,index]
    assert "response.web_search_call.searching" in kinds
    assert "response.output_text.annotation.added" in kinds


def test_every_end_has_its_status(client: OpenAI) -> None:
    cut = ask(client, "[[sandbox tokens=50]] Hm?", max_output_tokens=16)
    filtered = ask(client, "[[sandbox filtered]] Hm?")
    refusal = ask(client, "[[sandbox refuse]] Hm?")
    failed = _stream(client, "[[sandbox failed tokens=3]] Hm?")

    assert cut.status == filtered.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    assert filtered.incomplete_details is not None
    assert filtered.incomplete_details.reason == "content_filter"
    assert refusal.output[0].content[0].type == "refusal"  # type: ignore[union-attr,index]
    assert failed[-1].type == "response.failed"
    assert failed[-1].response.error.code == "server_error"


def test_an_answer_follows_a_schema(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    format_ = {"format": {"type": "json_schema", "name": "person", "schema": schema}}

    assert isinstance(json.loads(ask(client, "Ada?", text=format_).output_text)["age"], int)


def test_logprobs_come_when_asked_for(client: OpenAI) -> None:
    fields: dict[str, Any] = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}

    part = ask(client, "[[sandbox tokens=3]] Hm?", **fields).output[0].content[0]  # type: ignore[union-attr,index]

    assert len(part.logprobs) == 3  # type: ignore[union-attr,arg-type]
    assert len(part.logprobs[0].top_logprobs) == 2  # type: ignore[union-attr,index]


def test_a_stored_response_is_gone_on_from_and_an_unknown_one_refused(client: OpenAI) -> None:
    first = client.responses.create(**body("[[sandbox call=get_weather]] Weather?", tools=[WEATHER]))
    result = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "21"}
    second = client.responses.create(**body([result], previous_response_id=first.id, tools=[WEATHER]))
    unstored = client.responses.create(**body("Hm?", store=False))

    assert second.output_text
    assert client.responses.retrieve(first.id).output[0].id == first.output[0].id
    assert refused(client, "Hm?", previous_response_id="resp_x").code == "previous_response_not_found"
    assert refused(client, "Hm?", previous_response_id=unstored.id).status_code == 400
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"extra_body": {"seed": 1}}, "seed"),
        ({"extra_body": {"stop": ["x"]}}, "stop"),
        ({"max_output_tokens": 3}, "max_output_tokens"),
        ({"extra_body": {"max_output_tokens": "many"}}, "max_output_tokens"),
        ({"tools": [{"type": "telepathy"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "?"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "thought"}]}, "input[0]"),
        ({"input": ""}, "input"),
    ],
)
def test_what_openai_refuses_is_refused(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    error = refused(client, fields.pop("input", "Hm?"), **fields)

    assert (error.status_code, error.param) == (400, param)


def test_an_error_in_a_stream_is_an_event_of_its_own(sandbox: LiveSandbox) -> None:
    text = sandbox.http.post("/v1/responses", json=body("[[sandbox error_after=1]] Hm?", stream=True)).text

    last = text.strip().split("\n\n")[-1].split("\n")
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["code"] == "server_error"
