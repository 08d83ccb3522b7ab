"""The schemas of the hot endpoints' answers: the fields that every one has, whatever the provider.

More fields may stand beside them, so none of these is closed.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_COST: Schema = {
    "cost": {"type": "number", "description": "What the answer cost, in USD."},
    "cost_nano_usd": {"type": "integer", "description": "The same, exactly, in nano-USD."},
}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _one(value: str) -> Schema:
    return {"const": value, "type": "string"}


def _object(required: str = "", about: str = "", **properties: Schema) -> Schema:
    described = {"description": about} if about else {}
    return {"type": "object", **described, "required": required.split(), "properties": properties}


def _list(items: Schema, about: str = "") -> Schema:
    described = {"description": about} if about else {}
    return {"type": "array", **described, "items": items}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ANY_OBJECT: Schema = {"type": "object"}
_FINISH = _or_null({"type": "string", "description": "`stop`, `length`, `tool_calls` or `content_filter`."})
_SCHEMAS: dict[str, Schema] = {
    "Usage": _object(
        "prompt_tokens completion_tokens total_tokens",
        "What is billed.",
        prompt_tokens=_COUNT,
        completion_tokens=_COUNT,
        total_tokens=_COUNT,
        prompt_tokens_details=_or_null(_ANY_OBJECT),
        completion_tokens_details=_or_null(_ANY_OBJECT),
        **_COST,
    ),
    "ToolCall": _object(
        "id type", id=_TEXT, type=_TEXT, function=_object("name arguments", name=_TEXT, arguments=_TEXT)
    ),
    "ChatCompletion": _object(
        "id object created model choices",
        "A whole answer.",
        id=_TEXT,
        object=_one("chat.completion"),
        created=_COUNT,
        model=_TEXT,
        choices=_list(
            _object(
                "index message finish_reason",
                index=_COUNT,
                message=_object(
                    "role content",
                    role=_one("assistant"),
                    content=_or_null(_TEXT),
                    reasoning_content=_or_null(
                        {"type": "string", "description": "Thoughts, where they are shown."}
                    ),
                    tool_calls=_or_null(_list(_reference("ToolCall"))),
                ),
                finish_reason=_FINISH,
            )
        ),
        usage=_or_null(_reference("Usage")),
    ),
    "ChatCompletionChunk": _object(
        "id object created model choices",
        "One event of a stream.",
        id=_TEXT,
        object=_one("chat.completion.chunk"),
        created=_COUNT,
        model=_TEXT,
        choices=_list(_object("index delta", index=_COUNT, delta=_ANY_OBJECT, finish_reason=_FINISH)),
        usage=_or_null(_reference("Usage")),
    ),
    "Completion": _object(
        "id object created model choices",
        "A text that goes on.",
        id=_TEXT,
        object=_one("text_completion"),
        created=_COUNT,
        model=_TEXT,
        choices=_list(_object("index text", index=_COUNT, text=_TEXT, finish_reason=_FINISH)),
        usage=_or_null(_reference("Usage")),
    ),
    "Response": _object(
        "id object created_at status model output",
        "A response.",
        id=_TEXT,
        object=_one("response"),
        created_at={"type": "number"},
        status={"enum": ["completed", "incomplete", "failed", "in_progress", "queued", "cancelled"]},
        model=_TEXT,
        output=_list(
            _object("type", type=_TEXT), "Items: `reasoning`, `message`, `function_call` and others."
        ),
        usage=_or_null(
            _object(
                "input_tokens output_tokens total_tokens",
                input_tokens=_COUNT,
                output_tokens=_COUNT,
                total_tokens=_COUNT,
                **_COST,
            )
        ),
        error=_or_null(_ANY_OBJECT),
        incomplete_details=_or_null(_ANY_OBJECT),
    ),
    "ResponseEvent": _object("type", "One event of a stream.", type=_TEXT, sequence_number=_COUNT),
    "Message": _object(
        "id type role model content stop_reason usage",
        "A whole answer.",
        id=_TEXT,
        type=_one("message"),
        role=_one("assistant"),
        model=_TEXT,
        content=_list(_object("type", type=_TEXT), "Blocks: `thinking`, `text`, `tool_use` and others."),
        stop_reason=_or_null(_TEXT),
        stop_sequence=_or_null(_TEXT),
        usage=_object("input_tokens output_tokens", input_tokens=_COUNT, output_tokens=_COUNT, **_COST),
    ),
    "MessageEvent": _object("type", "One event of a stream.", type=_TEXT),
    "CountedTokens": _object("input_tokens", input_tokens=_COUNT),
    "EmbeddingList": _object(
        "object data model usage",
        object=_one("list"),
        data=_list(
            _object(
                "object index embedding",
                object=_one("embedding"),
                index=_COUNT,
                embedding={"anyOf": [_list({"type": "number"}), _TEXT]},
            )
        ),
        model=_TEXT,
        usage=_object("prompt_tokens total_tokens", prompt_tokens=_COUNT, total_tokens=_COUNT, **_COST),
    ),
    "ModerationList": _object(
        "id model results",
        id=_TEXT,
        model=_TEXT,
        results=_list(
            _object(
                "flagged categories category_scores",
                flagged={"type": "boolean"},
                categories=_ANY_OBJECT,
                category_scores=_ANY_OBJECT,
            )
        ),
    ),
    "ImageList": _object(
        "created data",
        created=_COUNT,
        data=_list(_object("", url=_TEXT, b64_json=_TEXT, revised_prompt=_TEXT)),
        usage=_ANY_OBJECT,
    ),
    "Transcript": _object("text", text=_TEXT),
}
# By path: a whole answer, and one event of a stream.
_ANSWERS = {
    "/v1/chat/completions": ("ChatCompletion", "ChatCompletionChunk"),
    "/v1/completions": ("Completion", "Completion"),
    "/v1/responses": ("Response", "ResponseEvent"),
    "/v1/messages": ("Message", "MessageEvent"),
    "/v1/messages/count_tokens": ("CountedTokens", ""),
    "/v1/embeddings": ("EmbeddingList", ""),
    "/v1/moderations": ("ModerationList", ""),
    "/v1/images/generations": ("ImageList", ""),
    "/v1/audio/transcriptions": ("Transcript", ""),
}


def answer_schemas() -> dict[str, Schema]:
    """Return every schema of an answer, by its name in the document."""
    return dict(_SCHEMAS)


def answers(path: str) -> dict[str, Schema]:
    """Return what a path answers, by content type."""
    if path not in _ANSWERS:
        return {"audio/*": {"schema": {"type": "string", "format": "binary"}}}
    whole, event = _ANSWERS[path]
    found: dict[str, Schema] = {"application/json": {"schema": _reference(whole)}}
    if event:
        found["text/event-stream"] = {"schema": _reference(event)}
    if path == "/v1/audio/transcriptions":
        found["text/*"] = {"schema": _TEXT}
    return found
