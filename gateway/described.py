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
    "/v1/audio/speech": _Words("createSpeech", "Read a text aloud", ("model", "input", "voice")),
    "/v1/audio/transcriptions": _Words("createTranscription", "Write down a recording", ("model", "file")),
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


def hot_paths() -> dict[str, Any]:
    """Return a path item for each endpoint that is answered before the calm part of ``/v1``."""
    content_types = {path: each.content_type for path, each in ENDPOINTS.items()}
    return {
        path: {"post": _operation(words, content_types.get(path, "application/json"))}
        for path, words in _WORDS.items()
    }


def _operation(words: _Words, content_type: str) -> dict[str, Any]:
    body = {"type": "object", "required": list(words.required)}
    answers: dict[str, Any] = (
        {"audio/*": {}} if words.operation_id == "createSpeech" else {"application/json": {}}
    )
    if words.can_stream:
        answers["text/event-stream"] = {}
    return {
        "operationId": words.operation_id,
        "summary": words.summary,
        "requestBody": {"required": True, "content": {content_type: {"schema": body}}},
        "responses": {
            "200": {"description": "OK", "content": answers},
            "default": {"description": "Refused", "content": {"application/json": {"schema": _ERROR}}},
        },
    }
