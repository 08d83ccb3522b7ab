"""What the OpenAPI document says of the hot endpoints, whose bodies no schema of ours describes.

Their shapes are OpenAI's and Anthropic's; the document names each path, its declared content, and what it must hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.endpoints import ENDPOINTS


class _Words(NamedTuple):
    operation_id: str
    summary: str
    required: tuple[str, ...]
    can_stream: bool = False
    answers: tuple[str, ...] = ("application/json",)


COUNT_TOKENS = "/v1/messages/count_tokens"
_WORDS = {
    "/v1/chat/completions": _Words(
        "createChatCompletion", "Continue a conversation", ("model", "messages"), can_stream=True
    ),
    "/v1/completions": _Words("createCompletion", "Continue a text", ("model", "prompt"), can_stream=True),
    "/v1/messages": _Words(
        "createMessage",
        "Continue a conversation, in Anthropic's format",
        ("model", "max_tokens", "messages"),
        can_stream=True,
    ),
    COUNT_TOKENS: _Words("countTokens", "Count a message's input tokens", ("model", "messages")),
    "/v1/responses": _Words(
        "createResponse", "Continue a conversation and keep the response", ("model",), can_stream=True
    ),
    "/v1/embeddings": _Words("createEmbedding", "Turn texts into vectors", ("model", "input")),
    "/v1/moderations": _Words("createModeration", "Classify what may be harmful", ("input",)),
    "/v1/images/generations": _Words("createImage", "Make pictures", ("model", "prompt")),
    "/v1/audio/speech": _Words(
        "createSpeech", "Read a text aloud", ("model", "input", "voice"), answers=("audio/*",)
    ),
    "/v1/audio/transcriptions": _Words(
        "createTranscription",
        "Write down a recording",
        ("model", "file"),
        answers=("application/json", "text/*"),
    ),
}
_ERROR = {
    "type": "object",
    "required": ["message", "type", "param", "code"],
    "properties": {
        "message": {"type": "string"},
        "type": {"type": "string"},
        "param": {"type": ["string", "null"]},
        "code": {"type": ["string", "null"]},
    },
}
ERROR_SCHEMAS = {
    "OpenAIError": {"type": "object", "required": ["error"], "properties": {"error": _ERROR}},
    "AnthropicError": {
        "type": "object",
        "required": ["type", "error", "request_id"],
        "properties": {"type": {"const": "error"}, "error": _ERROR, "request_id": {"type": "string"}},
    },
}
_COST = {
    "x-fa-cost-nano": {
        "description": "What a whole answer cost, in nano-USD; also 'cost_nano_usd' and 'cost' of its usage.",
        "schema": {"type": "integer"},
    }
}
_OPENAI, _ANTHROPIC = ({"$ref": f"#/components/schemas/{name}"} for name in ERROR_SCHEMAS)
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


def hot_paths() -> dict[str, Any]:
    """Return a path item for each endpoint that is answered before the calm part of ``/v1``."""
    content_types = {path: each.content_type for path, each in ENDPOINTS.items()}
    paths = {
        path: {"post": _operation(words, content_types.get(path, "application/json"))}
        for path, words in _WORDS.items()
    }
    for path in ENDPOINTS:
        paths[path]["post"]["responses"]["200"]["headers"] = _COST
    return paths


def request_body(*required: str, content_type: str = "application/json") -> dict[str, Any]:
    """Return what is said of a body that must hold some fields."""
    schema = {"type": "object", "required": list(required)}
    return {"required": True, "content": {content_type: {"schema": schema}}}


def add_refusals(paths: dict[str, Any]) -> None:
    """Say of each operation in what shape it refuses; the calm paths have Anthropic's for its own SDKs."""
    for path, item in paths.items():
        if path.startswith("/v1/messages"):
            schema: dict[str, Any] = _ANTHROPIC
        else:
            schema = _OPENAI if path in _WORDS else {"anyOf": [_ANTHROPIC, _OPENAI]}
        for operation in item.values():
            operation["responses"]["default"] = {
                "description": "Refused",
                "content": {"application/json": {"schema": schema}},
            }


def _operation(words: _Words, content_type: str) -> dict[str, Any]:
    streamed = ("text/event-stream",) if words.can_stream else ()
    answers: dict[str, Any] = {kind: {} for kind in (*words.answers, *streamed)}
    return {
        "operationId": words.operation_id,
        "summary": words.summary,
        "requestBody": request_body(*words.required, content_type=content_type),
        "responses": {"200": {"description": "OK", "content": answers}},
    }
