"""Responses passed on: what is sent is ours to send, what comes back is the upstream's but for what names us."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway.errors import UpstreamError
from gateway.formats.chat import Chat
from gateway.formats.responses import Responses
from gateway.formats.responses_ids import adopted_id, response_of
from gateway.formats.responses_seals import Seal, wrap
from gateway.passages.native_chat import NativeChat
from gateway.passages.native_responses import NativeResponses, NativeResponsesStream
from gateway.passages.table import passage_for
from gateway.passages.translation import Translation
from gateway.upstreams.base import BadAnswer, CannotExpress, Prepared, Refused
from gateway.upstreams.sse import EventSplitter
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.responses_sdk import check_events, check_response, events_of
from tests.gateway.upstreams import recordings

PASSAGE = NativeResponses()
HELLO = {"model": "gpt-4o", "input": "hi"}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}


def prepared(body: dict[str, Any], provider: str = "openai", **fields: Any) -> Prepared:
    to = channel(provider, "openai_responses")
    return PASSAGE.prepare(attempt(ask(Responses(), HELLO | body), channel=to, **fields))


def sent(body: dict[str, Any], provider: str = "openai", **fields: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(prepared(body, provider, **fields).body)
    return written


def stream(**fields: Any) -> NativeResponsesStream:
    return PASSAGE.stream(attempt(ask(Responses(), HELLO | {"stream": True} | fields)))


def response(**fields: Any) -> dict[str, Any]:
    usual = {
        "id": "resp_theirs", "object": "response", "created_at": 7, "status": "in_progress", "model": "gpt-4o-2024",
        "output": [], "store": False, "billing": {"payer": "developer"}, "usage": None,
    }  # fmt: skip
    return usual | fields


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": f"response.{kind}"} | fields, separators=(",", ":")).encode()


def test_what_is_ours_is_not_passed_on() -> None:
    body = sent(
        {
            "store": True,
            "previous_response_id": "resp_before",
            "metadata": {"a": "b"},
            "background": True,
            "client_metadata": {"x": "y"},
            "service_tier": "auto",
            "temperature": 0.5,
            "instructions": "Be kind.",
            "truncation": "auto",
        }
    )

    assert body == {
        "model": "upstream/name",
        "input": "hi",
        "store": False,
        "temperature": 0.5,
        "instructions": "Be kind.",
        "truncation": "auto",
    }


def test_a_key_that_stands_twice_is_forwarded_as_it_was_priced() -> None:
    raw = b'{"model":"a","max_output_tokens":9,"max_output_tokens":1,"input":"x","tools":[{"type":"mcp","type":"function","name":"f"}]}'
    to = channel("openai", "openai_responses")

    body = PASSAGE.prepare(attempt(Responses().parse(raw, {}), channel=to)).body

    assert body.count(b'"max_output_tokens"') == 1
    assert b"mcp" not in body


def test_our_bound_replaces_the_callers() -> None:
    assert sent({"max_output_tokens": 500}, output_bound=77)["max_output_tokens"] == 77
    assert sent({"max_output_tokens": 500})["max_output_tokens"] == 500


def test_padding_is_asked_away_only_where_it_is_known() -> None:
    assert sent({"stream": True})["stream_options"] == {"include_obfuscation": False}
    asked = {"stream": True, "stream_options": {"include_obfuscation": True}}
    assert sent(asked)["stream_options"] == {"include_obfuscation": True}
    assert "stream_options" not in sent({"stream": True}, "deepseek")


REQUEST = "req_" + "0123456789" * 2 + "ab"


def test_servers_that_may_stream_unasked_are_told_not_to() -> None:
    assert "stream" not in sent({})
    assert sent({}, "deepseek")["stream"] is False
    assert sent({"stream": True}, "deepseek")["stream"] is True


def test_items_that_are_kept_tell_their_response_and_go_back_under_the_ids_they_came_with() -> None:
    item = {"type": "message", "id": "msg_theirs", "role": "assistant", "content": [], "status": "completed"}
    whole = json.dumps(response(status="completed", output=[item])).encode()
    asked = attempt(ask(Responses(), HELLO | {"stream": True}), request_id=REQUEST)
    translator = PASSAGE.stream(asked)

    (answered,) = json.loads(PASSAGE.answer(whole, asked).body)["output"]
    passed = translator.feed(event("output_item.added", output_index=0, sequence_number=0, item=item))
    delta = event(
        "output_text.delta", item_id="msg_theirs", sequence_number=1, delta="msg_theirs", logprobs=[]
    )
    passed += translator.feed(delta)

    assert response_of(answered["id"]) == REQUEST.replace("req_", "resp_")
    assert [each.get("item_id") or each["item"]["id"] for each in events_of(passed)] == [answered["id"]] * 2
    assert sent({"input": [answered]})["input"] == [item]
    assert PASSAGE.answer(
        whole, attempt(ask(Responses(), HELLO | {"store": False}), request_id=REQUEST)
    ).body.count(b'"msg_theirs"')


def test_items_made_here_keep_their_ids() -> None:
    made = {
        "type": "message",
        "id": f"msg_{REQUEST.removeprefix('req_')}_0",
        "role": "assistant",
        "content": [],
    }

    assert sent({"input": [made]})["input"] == [made]


def test_seals_are_asked_only_of_models_that_reason() -> None:
    wanted = {"include": ["reasoning.encrypted_content"]}

    assert sent(wanted)["include"] == ["reasoning.encrypted_content"]
    assert "include" not in sent(wanted, model=model(capabilities=frozenset({"tools"})))


def test_thoughts_that_this_upstream_cannot_read_stay_behind() -> None:
    ours = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    items = [
        ours | {"encrypted_content": "gAAAA"},
        ours | {"encrypted_content": wrap(Seal("anthropic", "sig"))},
        ours,
        {"role": "user", "content": 'say "reasoning"'},
    ]

    to_openai = sent({"input": items})["input"]
    to_sandbox = sent({"input": items}, "sandbox")["input"]
    to_deepseek = sent({"input": items}, "deepseek")["input"]

    assert to_openai == to_sandbox == [items[0], items[3]]
    assert to_deepseek[1]["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert "encrypted_content" not in to_deepseek[1]
    assert to_deepseek[2:] == items[2:]


def test_what_followed_a_thought_that_stays_behind_is_not_missed_by_its_id() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": "Wait."}
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    kept = sent({"input": [thought | {"encrypted_content": "gAAAA"}, message, call, search]})["input"]
    left = sent({"input": [thought, message, call, search]})["input"]

    assert [item["id"] for item in kept] == ["rs_1", "msg_1", "fc_1", "ws_1"]
    assert left == [
        {key: value for key, value in message.items() if key != "id"},
        {key: value for key, value in call.items() if key != "id"},
        search,
    ]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "image_generation"},
        {"type": "computer_use_preview"},
        {"type": "mcp", "server_label": "s", "server_url": "https://a.example"},
        {"type": "programmatic_tool_calling"},
        {"type": "shell"},
        {"type": "shell", "environment": {"type": "container_auto"}},
    ],
)
def test_tools_that_are_billed_by_a_measure_of_their_own_are_refused(tool: dict[str, Any]) -> None:
    with pytest.raises(CannotExpress) as refused:
        sent({"tools": [LOOK, tool]})

    assert refused.value.field == "tools[1].type"
    assert tool["type"] in refused.value.reason


def test_unpriced_tools_cannot_come_in_by_the_back_door() -> None:
    found = {"type": "tool_search_output", "call_id": "c1", "tools": [{"type": "mcp", "server_label": "s"}]}

    with pytest.raises(CannotExpress):
        sent({"input": [found], "tools": [{"type": "tool_search"}]})


def test_tools_of_agents_are_passed_on_as_they_are() -> None:
    tools = [
        LOOK,
        {"type": "custom", "name": "patch", "format": {"type": "text"}},
        {"type": "namespace", "name": "crm", "description": "d", "tools": [LOOK]},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "local_shell"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "apply_patch"},
    ]
    body = sent({"tools": tools, "tool_choice": {"type": "function", "name": "look"}})

    assert body["tools"] == tools
    assert body["tool_choice"] == {"type": "function", "name": "look"}


def test_a_search_that_a_model_does_not_offer_is_left_out_by_name() -> None:
    to = model(capabilities=frozenset({"tools"}))
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}, LOOK]}
    search = {"type": "web_search"}

    both = prepared({"tools": [LOOK, search], "tool_choice": allowed}, model=to)

    assert both.dropped == ("tools.web_search",)
    assert json.loads(both.body)["tools"] == [LOOK]
    assert json.loads(both.body)["tool_choice"]["tools"] == [LOOK]
    assert "tools" not in sent({"tools": [search]}, model=to)
    with pytest.raises(CannotExpress):
        sent({"tools": [LOOK, search], "tool_choice": search}, model=to)


def test_sampling_is_left_out_where_a_model_refuses_it() -> None:
    to = model(traits=frozenset({"no_sampling"}))
    made = prepared({"temperature": 0.5, "top_p": 0.5}, model=to)

    assert made.dropped == ("temperature", "top_p")
    assert b"temperature" not in made.body


def test_an_answer_is_ours_by_name_and_theirs_by_content() -> None:
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "four", "annotations": [], "logprobs": []}],
    }
    usage = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
    asked = ask(Responses(), HELLO | {"previous_response_id": "resp_before", "metadata": {"a": "b"}})
    body = json.dumps(response(status="completed", output=[item], usage=usage)).encode()

    answer = PASSAGE.answer(body, attempt(asked))

    shown = json.loads(answer.body)
    check_response(shown)
    assert shown["id"] == "resp_test"
    assert shown["model"] == "gpt-4o"
    assert shown["previous_response_id"] == "resp_before"
    assert shown["metadata"] == {"a": "b"}
    assert shown["store"] is True
    assert shown["output"] == [item]
    assert "billing" not in shown
    assert answer.usage == Usage(9, 0, 0, 5, 0)
    assert (answer.upstream_id, answer.finish_reason, answer.has_output) == ("resp_theirs", "stop", True)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"{}", json.dumps(response(status="failed", error={"code": "x"})).encode()],
)
def test_an_error_or_nonsense_for_an_answer_is_noticed(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        PASSAGE.answer(body, attempt(ask(Responses(), HELLO)))


MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
OPENING = [
    event("created", sequence_number=0, response=response()),
    event("in_progress", sequence_number=1, response=response()),
    event("output_item.added", sequence_number=2, output_index=0, item=MESSAGE),
    event(
        "content_part.added", sequence_number=3, output_index=0, content_index=0, item_id="msg_1",
        part={"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    ),
    event(
        "output_text.delta", sequence_number=4, output_index=0, content_index=0, item_id="msg_1", delta="half",
        logprobs=[],
    ),
]  # fmt: skip


def test_the_end_of_a_stream_waits_for_the_bill() -> None:
    translator = stream(store=False)
    passed = b"".join(translator.feed(each) for each in OPENING)
    usage = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}

    end = event("completed", sequence_number=5, response=response(status="completed", usage=usage))
    was_done = translator.is_done

    assert translator.has_output
    assert not was_done
    assert translator.feed(end) == b""
    assert translator.is_done
    assert translator.usage == Usage(9, 0, 0, 5, 0)
    shown = events_of(passed + translator.closing(Usage(9, 0, 0, 5, 0)))
    assert shown[-1]["type"] == "response.completed"
    assert shown[-1]["response"]["id"] == shown[0]["response"]["id"] == "resp_test"
    assert translator.feed(b"[DONE]") == b""


def test_an_end_without_a_report_carries_what_is_billed() -> None:
    translator = stream()
    for each in [*OPENING, event("completed", sequence_number=5, response=response(status="completed"))]:
        translator.feed(each)

    last = json.loads(translator.closing(Usage(9, 0, 0, 5, 0)).split(b"data: ")[1])

    assert translator.usage is None
    assert last["response"]["usage"]["total_tokens"] == 14


def test_what_a_server_leaves_out_is_filled_in() -> None:
    translator = stream()
    bare = [json.loads(each) for each in OPENING]
    for each in bare:
        del each["sequence_number"]
        each.pop("logprobs", None)

    passed = b"".join(translator.feed(json.dumps(each, indent=1).encode()) for each in bare)

    assert events_of(passed)[-1]["logprobs"] == []


def test_an_event_of_several_lines_becomes_one() -> None:
    translator = stream(store=False)
    translator.feed(OPENING[0])
    pretty = json.dumps(json.loads(OPENING[2]), indent=1).encode()

    passed = translator.feed(pretty)

    assert passed.count(b"\n") == 3
    assert json.loads(passed.partition(b"data: ")[2]) == json.loads(OPENING[2])


def test_a_cut_ends_what_is_open_and_says_why() -> None:
    translator = stream()
    passed = b"".join(translator.feed(each) for each in OPENING)

    shown = events_of(passed + translator.cut(Usage(9, 0, 0, 5, 0)))

    check_events(shown)
    last = shown[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    (item,) = last["response"]["output"]
    assert item["content"][0]["text"] == "half"
    assert item["status"] == "incomplete"
    assert last["response"]["usage"]["total_tokens"] == 14


def test_a_failure_never_ends_cleanly() -> None:
    translator = stream()
    passed = b"".join(translator.feed(each) for each in OPENING)

    told, last = events_of(passed + translator.failure(UpstreamError("broke")))[-2:]

    assert (told["type"], told["error"]["code"]) == ("error", "upstream_error")
    assert last["type"] == "response.failed"
    check_response(last["response"])


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"null",
        b'{"type":"error","message":"sk-secret"}',
        event("failed", response=response(status="failed")),
        event("completed", response=7),
        event("output_item.done", item=[]),
    ],
)
def test_an_error_or_nonsense_inside_a_stream_is_noticed(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        stream().feed(data)


@pytest.mark.parametrize(
    ("told", "is_refusal"),
    [
        ({"code": "context_length_exceeded", "message": "Too long."}, True),
        ({"code": "invalid_prompt", "message": "Too long."}, True),
        ({"code": "failed_to_download_image", "message": "Too long."}, True),
        ({"code": "image_too_large", "message": "Too long."}, True),
        ({"code": "server_error", "message": "Too long."}, False),
        ({"code": "rate_limit_exceeded", "message": "Too long."}, False),
        ({"code": "insufficient_quota", "message": "Too long."}, False),
        ({"code": 7}, False),
        ({}, False),
    ],
)
def test_a_request_that_is_refused_late_is_told_from_a_channel_that_fails(
    told: dict[str, Any], *, is_refusal: bool
) -> None:
    failed = response(status="failed", error=told)
    streamed = [
        event("failed", response=failed),
        json.dumps({"type": "error", "sequence_number": 2, "param": None} | told).encode(),
        json.dumps({"type": "error", "error": told}).encode(),
    ]
    for data in streamed:
        with pytest.raises(BadAnswer) as broken:
            stream().feed(data)
        assert isinstance(broken.value, Refused) is is_refusal
        if isinstance(broken.value, Refused):
            assert PASSAGE.complaint(broken.value.body, channel("openai"))[0] == "Too long."
    with pytest.raises(BadAnswer) as broken:
        PASSAGE.answer(json.dumps(failed).encode(), attempt(ask(Responses(), HELLO)))
    assert isinstance(broken.value, Refused) is is_refusal


def test_a_thought_counts_as_output_once_it_is_done() -> None:
    translator = stream()
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}

    translator.feed(event("output_item.added", sequence_number=0, output_index=0, item=thought))
    assert not translator.has_output
    translator.feed(event("output_item.done", sequence_number=1, output_index=0, item=thought))
    assert translator.has_output


def test_each_format_takes_the_nearest_way() -> None:
    to = attempt(channel=channel("openai", "openai_responses")).route

    assert isinstance(passage_for(Responses(), to, model()), NativeResponses)
    assert isinstance(passage_for(Chat(), to, model()), NativeChat)
    assert isinstance(passage_for(Chat(), to, model(traits=frozenset({"responses_only"}))), Translation)


@pytest.mark.parametrize("adapter", ["openai_responses", "azure"])
def test_a_chat_client_searches_by_responses_where_openais_models_search_nowhere_else(adapter: str) -> None:
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "web_search_options": {}}
    one = attempt(ask(Chat(), said), channel=channel("openai", adapter))

    prepared = passage_for(Chat(), one.route, one.model, has_search=True).prepare(one)

    assert (prepared.target, json.loads(prepared.body)["tools"]) == ("/responses", [{"type": "web_search"}])


def recorded(*, is_stream: bool) -> list[Any]:
    patterns = ("openai-responses/*.json", "deepseek/*-responses-*.json")
    found = [each for pattern in patterns for each in recordings.recorded(pattern)]
    kind = str if is_stream else dict
    return [
        each
        for each in found
        if isinstance(each.values[0]["response"], kind) and each.values[0]["status"] == 200
    ]


def _as_documented(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event in which searches are as OpenAI documents them: it sends more kinds of sources, and later."""
    event = json.loads(json.dumps(event))
    for item in (event.get("item"), *event.get("response", {}).get("output", ())):
        if item and item["type"] == "web_search_call":
            item["action"] = {"type": "search", "query": ""}
    return event


@recordings.needed
@pytest.mark.parametrize("recording", recorded(is_stream=True))
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_a_recorded_stream_passes_with_nothing_changed_but_names(
    recording: dict[str, Any], piece: int
) -> None:
    splitter, translator = EventSplitter(), stream(store=False)
    raw = recording["response"].encode()
    data = [each for at in range(0, len(raw), piece) for each in splitter.feed(raw[at : at + piece])]
    passed = b"".join(translator.feed(each) for each in data)

    assert translator.is_done
    assert translator.usage is not None
    shown = events_of(passed + translator.closing(translator.usage))
    check_events([_as_documented(each) for each in shown])
    theirs = [json.loads(each) for each in data if each != b"[DONE]"]
    assert [each["type"] for each in shown] == [each["type"] for each in theirs]
    for ours, their in zip(shown, theirs, strict=True):
        if "response" in ours:
            assert ours["response"]["output"] == their["response"]["output"]
            assert ours["response"]["id"] == "resp_test"
        else:
            assert their.items() <= ours.items()
    assert json.dumps(theirs[0]["response"]["id"]) not in json.dumps(shown)


@recordings.needed
@pytest.mark.parametrize("recording", recorded(is_stream=False))
def test_a_recorded_answer_passes_with_nothing_changed_but_names(recording: dict[str, Any]) -> None:
    response = recording["response"]
    body = json.dumps(response).encode()
    if response["status"] != "completed":
        with pytest.raises(BadAnswer):
            PASSAGE.answer(body, attempt(ask(Responses(), HELLO)))
        return

    answer = PASSAGE.answer(body, attempt(ask(Responses(), HELLO)))

    shown = json.loads(answer.body)
    check_response(shown)
    assert shown["output"] == [
        item | {"id": adopted_id(item["id"], "req_test")} for item in response["output"]
    ]
    assert json.dumps(response["id"]).encode() not in answer.body
    assert answer.usage is not None
    assert answer.usage.output_tokens == response["usage"]["output_tokens"]
    assert answer.has_output


@recordings.needed
@pytest.mark.parametrize("recording", recorded(is_stream=False) + recorded(is_stream=True))
def test_a_recorded_request_is_passed_on_as_it_was(recording: dict[str, Any]) -> None:
    request = recording["request"]
    refused = {"conversation", "moderation"} & request.keys() or request.get("service_tier") == "flex"
    if refused or any(tool["type"] == "file_search" for tool in request.get("tools", ())):
        return
    provider = "deepseek" if "deepseek" in recording["endpoint"] else "openai"

    body = sent(request, provider, upstream_model=request["model"])

    left_out = {"previous_response_id", "background", "store", "stream_options"}
    expected = {key: value for key, value in request.items() if key not in left_out and value is not None}
    if provider == "openai" and any(tool["type"] == "web_search" for tool in request.get("tools", ())):
        expected["max_tool_calls"] = 10
    assert {key: value for key, value in body.items() if key not in left_out} == expected | {
        key: body[key] for key in ("stream", "reasoning") if key in expected
    }
    assert body["store"] is False
