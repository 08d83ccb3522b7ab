"""What becomes of a message's body on its way to other providers than Anthropic."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from anthropic.types.beta import BetaThinkingConfigAdaptiveParam

from gateway import form as f
from gateway.asked import Asked
from gateway.formats.messages import Messages
from gateway.passages.translation import Translation
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_chat import OpenAIChat
from tests.gateway.attempts import ask, attempt, channel

_USER = {"role": "user", "content": "hi"}
_TOOL = {"name": "look", "input_schema": {"type": "object"}}


def parse(*turns: dict[str, Any], **fields: Any) -> Asked:
    return ask(Messages(), {"model": "any", "max_tokens": 100, "messages": list(turns) or [_USER]} | fields)


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def test_every_way_to_show_thoughts_is_known() -> None:
    shown = get_args(get_type_hints(BetaThinkingConfigAdaptiveParam)["display"])[0]

    for display in get_args(shown):
        assert parse(thinking={"type": "adaptive", "display": display}).form().reasoning.is_enabled


def test_what_only_anthropics_models_do_is_refused_or_named_elsewhere() -> None:
    def prepare(*turns: dict[str, Any], **fields: Any) -> tuple[str, ...]:
        to = attempt(parse(*turns, **fields), channel=channel("openai"))
        return Translation(Messages(), OpenAIChat()).prepare(to).dropped

    server = {"type": "url", "url": "https://x.example", "name": "x"}
    for field, value in (("compaction", {"type": "summarize"}), ("mcp_servers", [server])):
        with pytest.raises(CannotExpress) as refusal:
            prepare(**{field: value})
        assert refusal.value.field == field
    assert prepare(
        user(
            {
                "type": "search_result",
                "source": "s",
                "title": "T",
                "content": [],
                "citations": {"enabled": True},
            }
        ),
        {"role": "system", "output_config": {"effort": "low"}},
        context_management={"edits": []},
        diagnostics={"previous_message_id": None},
        output_config={"task_budget": {"type": "tokens", "total": 20_000}},
    ) == (
        "context_management",
        "diagnostics",
        "output_config.task_budget",
        "messages.output_config",
        "messages.citations",
    )


def test_documents_of_several_parts_and_summaries_keep_all_that_they_hold() -> None:
    found = {"type": "search_result", "source": "https://a.example", "title": "T", "content": []}
    picture = {"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}}
    source = {"type": "content", "content": [{"type": "text", "text": "one"}, picture]}
    document = {"type": "document", "source": source, "title": "D", "context": "from a book"}

    form = parse(
        {"role": "assistant", "content": [{"type": "compaction", "content": "They are called Bob."}]},
        user(document, {"type": "tool_result", "tool_use_id": "t", "content": [found, document]}),
    ).form()

    told = [
        f.Text("from a book"),
        f.File(text="one", media_type="text/plain", name="D"),
        f.Image(url="https://a.example/a.png"),
    ]
    assert form.messages[0].parts == [f.Text("Summary of the conversation so far:\n\nThey are called Bob.")]
    *parts, result = form.messages[1].parts
    assert parts == told
    assert isinstance(result, f.ToolResult)
    assert result.parts == [f.File(text="Source: https://a.example\n\n", name="T"), *told]


_CITY = {"type": "string"}
_CLOSED = {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (_CLOSED | {"properties": {"a": _CITY}, "required": ["a"]}, True),
        (_CLOSED | {"properties": {"a": {"anyOf": [_CITY, {"type": "null"}]}}, "required": ["a"]}, True),
        (
            _CLOSED | {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"], "$defs": {"a": _CITY}},
            True,
        ),
        # What Anthropic's SDK makes of a model with a default, of a literal, of an address and of an inner object.
        (_CLOSED | {"properties": {"a": _CITY}}, False),
        (_CLOSED | {"properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}, False),
        (_CLOSED | {"properties": {"a": _CITY | {"format": "uri"}}, "required": ["a"]}, False),
        (
            _CLOSED
            | {"properties": {"a": {"type": "array", "items": {"type": "object"}}}, "required": ["a"]},
            False,
        ),
        (_CLOSED | {"properties": 1, "required": 1}, False),
        ({"type": "array", "items": _CITY}, False),
    ],
)
def test_openai_is_held_to_a_schema_only_as_its_strict_mode_takes_it(
    schema: dict[str, Any], *, is_strict: bool
) -> None:
    wanted = {"format": {"type": "json_schema", "schema": schema}}

    form = parse(output_config=wanted, tools=[_TOOL | {"input_schema": schema, "strict": True}, _TOOL]).form()

    assert form.response_format.strict is is_strict
    assert [tool.strict for tool in form.tools if isinstance(tool, f.FunctionTool)] == [is_strict, None]
