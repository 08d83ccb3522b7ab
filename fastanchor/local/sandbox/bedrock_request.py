"""Reading a request of Bedrock's Converse as the one of Anthropic's Messages that it means."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from fastanchor.local.sandbox import messages_rules
from fastanchor.local.sandbox.conversation import BadRequest
from fastanchor.local.sandbox.messages_request import MessagesRequest

Block = dict[str, Any]

# Where a request says nothing.
_MOST_OUTPUT = 4_096
_MEDIA = {"pdf": "application/pdf", "txt": "text/plain"}
_NO_TOOLS = "The toolConfig field must be defined when using toolUse and toolResult content blocks."


class ConverseRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The fields of a request; others are refused."""

    messages: list[dict[str, Any]] = []
    system: list[Block] = []
    inference_config: dict[str, Any] = {}
    tool_config: dict[str, Any] = {}
    additional_model_request_fields: dict[str, Any] = {}
    output_config: dict[str, Any] = {}
    request_metadata: dict[str, str] = {}
    service_tier: dict[str, str] = {}


def read_converse(body: bytes, model: str, *, is_stream: bool) -> MessagesRequest:
    """Parse a body; raises ``BadRequest``."""
    try:
        asked = msgspec.json.decode(body, type=ConverseRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        message = f"The request body is not valid: {exc}"
        raise BadRequest(message) from exc
    _check_turns(asked)
    config = asked.inference_config
    request = MessagesRequest(
        model=model,
        messages=[_turn(number, message) for number, message in enumerate(asked.messages)],
        max_tokens=config.get("maxTokens", _MOST_OUTPUT),
        system=_marked("system", asked.system) or None,
        tools=_tools(asked.tool_config),
        tool_choice=_choice(asked.tool_config),
        stop_sequences=config.get("stopSequences"),
        stream=is_stream,
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        output_config=_output(asked.output_config),
        **_additional(asked.additional_model_request_fields),
    )
    messages_rules.check(msgspec.structs.asdict(request), thinks=request.thinks)
    return request


def _check_turns(asked: ConverseRequest) -> None:
    """Refuse what Converse refuses before any model sees it."""
    roles = [message["role"] for message in asked.messages]
    if not roles or roles[0] != "user":
        message = "A conversation must start with a user message. Try again with a conversation that starts with a user message."
        raise BadRequest(message)
    if any(role == before for before, role in itertools.pairwise(roles)):
        message = (
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
            "between user and assistant roles and try again."
        )
        raise BadRequest(message)
    blocks = [block for message in asked.messages for block in message["content"]]
    if not asked.tool_config and any("toolUse" in block or "toolResult" in block for block in blocks):
        raise BadRequest(_NO_TOOLS)


def _turn(number: int, message: dict[str, Any]) -> dict[str, Any]:
    content = _marked(f"messages.{number}.content", message["content"])
    kinds = {block["type"] for block in content}
    if "document" in kinds and "text" not in kinds:
        complaint = "A text block is required in the same message as a document."
        raise BadRequest(complaint)
    return {"role": message["role"], "content": content}


def _marked(place: str, blocks: list[Block]) -> list[Block]:
    """Return blocks with the cache points that stand behind them as marks on them."""
    written: list[Block] = []
    for number, block in enumerate(blocks):
        if "cachePoint" in block:
            if not written:
                message = f"{place}.{number}: A cache point must follow what is to be cached."
                raise BadRequest(message)
            written[-1]["cache_control"] = _mark(block["cachePoint"])
        else:
            written.append(_block(f"{place}.{number}", block))
    return written


def _mark(point: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ephemeral"} | ({"ttl": point["ttl"]} if "ttl" in point else {})


def _block(place: str, block: Block) -> Block:
    if len(block) != 1:
        message = f"{place}: A content block must have exactly one member."
        raise BadRequest(message)
    ((kind, value),) = block.items()
    match kind:
        case "text":
            return _text(place, value)
        case "image":
            return {"type": "image", "source": _source(f"image/{value['format']}", value)}
        case "document":
            source = _source(_MEDIA.get(value["format"], "text/plain"), value)
            return {"type": "document", "source": source, "title": value["name"]}
        case "toolUse":
            called = {"id": value["toolUseId"], "name": value["name"], "input": value["input"]}
            return {"type": "tool_use", **called}
        case "toolResult":
            return _result(place, value)
        case "reasoningContent":
            return _thought(value)
        case _:
            message = f"{place}: This model does not support {kind}."
            raise BadRequest(message)


def _text(place: str, text: str) -> Block:
    if not text.strip():
        message = f"The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try again."
        raise BadRequest(message)
    return {"type": "text", "text": text}


def _source(media_type: str, value: Block) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": value["source"]["bytes"]}


def _result(place: str, value: Block) -> Block:
    content = [
        {"type": "text", "text": msgspec.json.encode(block["json"]).decode()}
        if "json" in block
        else _block(place, block)
        for block in value["content"]
    ]
    is_error = value.get("status") == "error"
    return {
        "type": "tool_result",
        "tool_use_id": value["toolUseId"],
        "content": content,
        "is_error": is_error,
    }


def _thought(value: Block) -> Block:
    if "redactedContent" in value:
        return {"type": "redacted_thinking", "data": value["redactedContent"]}
    told = value["reasoningText"]
    return {"type": "thinking", "thinking": told["text"], "signature": told.get("signature", "")}


def _tools(config: dict[str, Any]) -> list[dict[str, Any]] | None:
    tools: list[dict[str, Any]] = []
    for each in config.get("tools", ()):
        if "cachePoint" in each:
            tools[-1]["cache_control"] = _mark(each["cachePoint"])
            continue
        spec = each["toolSpec"]
        described = {"description": spec["description"]} if "description" in spec else {}
        tools.append({"name": spec["name"], "input_schema": spec["inputSchema"]["json"], **described})
    return tools or None


def _choice(config: dict[str, Any]) -> dict[str, Any] | None:
    if "toolChoice" not in config:
        return None
    ((kind, value),) = config["toolChoice"].items()
    return {"type": kind, **value}


def _output(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the effort and the shape of the answer, whose schema is a text of JSON."""
    written = {"effort": config["effort"]} if "effort" in config else {}
    if wanted := config.get("textFormat"):
        schema = msgspec.json.decode(wanted["structure"]["jsonSchema"]["schema"])
        written["format"] = {"type": wanted["type"], "schema": schema}
    return written or None


def _additional(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what the model takes beyond Converse, in Anthropic's own words."""
    known = {"thinking", "top_k"}
    if unknown := fields.keys() - known:
        message = f"{min(unknown)}: Extra inputs are not permitted"
        raise BadRequest(message)
    return dict(fields)
