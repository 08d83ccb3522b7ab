"""What the OpenAPI document says of the hot endpoints, and of what all of ``/v1`` has in common.

Bodies are told by the structures that read them (``described_bodies``), answers by ``described_answers``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway import errors
from gateway.described_answers import answer_schemas, answers
from gateway.described_bodies import BODIES, body_schemas, reference
from gateway.endpoints import ENDPOINTS
from gateway.errors import GatewayError


class _Words(NamedTuple):
    operation_id: str
    summary: str
    tag: str
    example: dict[str, Any]


COUNT_TOKENS = "/v1/messages/count_tokens"
_HELLO = [{"role": "user", "content": "Hello!"}]
_WORDS = {
    "/v1/chat/completions": _Words(
        "createChatCompletion", "Continue a conversation", "Generate", {"model": "gpt-4o", "messages": _HELLO}
    ),
    "/v1/responses": _Words(
        "createResponse",
        "Continue a conversation and keep the response",
        "Generate",
        {"model": "gpt-4o", "input": "Hello!"},
    ),
    "/v1/messages": _Words(
        "createMessage",
        "Continue a conversation, in Anthropic's format",
        "Generate",
        {"model": "claude-sonnet-4-20250514", "max_tokens": 1000, "messages": _HELLO},
    ),
    COUNT_TOKENS: _Words(
        "countTokens",
        "Count a message's input tokens",
        "Generate",
        {"model": "claude-sonnet-4-20250514", "messages": _HELLO},
    ),
    "/v1/completions": _Words(
        "createCompletion", "Continue a text", "Generate", {"model": "gpt-4o", "prompt": "Once upon a time"}
    ),
    "/v1/embeddings": _Words(
        "createEmbedding",
        "Turn texts into vectors",
        "Other models",
        {"model": "text-embedding-3-small", "input": "Hello!"},
    ),
    "/v1/moderations": _Words(
        "createModeration", "Classify what may be harmful", "Other models", {"input": "Hello!"}
    ),
    "/v1/images/generations": _Words(
        "createImage", "Make pictures", "Other models", {"model": "gpt-image-1", "prompt": "An anchor"}
    ),
    "/v1/audio/speech": _Words(
        "createSpeech",
        "Read a text aloud",
        "Other models",
        {"model": "tts-1", "input": "Hello!", "voice": "alloy"},
    ),
    "/v1/audio/transcriptions": _Words(
        "createTranscription", "Write down a recording", "Other models", {"model": "whisper-1"}
    ),
}
_ERROR = {
    "type": "object",
    "required": ["message", "type", "param", "code"],
    "properties": {
        "message": {"type": "string", "description": "What is wrong, and what to do."},
        "type": {"type": "string"},
        "param": {"type": ["string", "null"], "description": "The parameter at fault."},
        "code": {"type": ["string", "null"], "description": "The same for the same fault, for programs."},
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
_OPENAI, _ANTHROPIC = ({"$ref": f"#/components/schemas/{name}"} for name in ERROR_SCHEMAS)
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Your API key, `fa_live_…`."},
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same, as Anthropic's SDKs send it.",
    },
}


def _header(about: str, kind: str = "string") -> dict[str, Any]:
    return {"description": about, "schema": {"type": kind}}


HEADERS = {
    "x-request-id": _header("The request's id, for its receipt and for questions."),
    "x-ratelimit-limit-requests": _header("Requests that a minute allows.", "integer"),
    "x-ratelimit-remaining-requests": _header("What is left of them.", "integer"),
    "x-ratelimit-reset-requests": _header("When all of them are there again, such as `6m0s`."),
    "x-ratelimit-limit-tokens": _header("Tokens that a minute allows.", "integer"),
    "x-ratelimit-remaining-tokens": _header("What is left of them.", "integer"),
    "x-ratelimit-reset-tokens": _header("When all of them are there again, such as `1.5s`."),
    "x-fa-cost-nano": _header(
        "What a whole answer cost, in nano-USD; also 'cost_nano_usd' and 'cost' of its usage.", "integer"
    ),
    "x-fa-max-tokens": _header(
        "The most output tokens, where the credit allows fewer than the model.", "integer"
    ),
    "x-fa-dropped": _header(
        "Parameters that the model's provider cannot be told and the answer did without."
    ),
    "x-fa-not-stored": _header("Why a response is not kept: `too_large`, `full` or `unavailable`."),
    "x-fa-degraded": _header("`1` while a part of us is away."),
    "retry-after": _header("Seconds until another try makes sense.", "integer"),
    "x-should-retry": _header(
        "`false` where another try would change nothing; OpenAI's and Anthropic's SDKs obey it."
    ),
}
_OF_ANSWERS = tuple(name for name in HEADERS if name not in {"retry-after", "x-should-retry"})
_OF_REFUSALS = ("x-request-id", "retry-after", "x-should-retry")
# What any path may refuse with, and what only those that ask a model may.
_OF_ALL: tuple[type[GatewayError], ...] = (
    errors.InvalidRequest,
    errors.InvalidApiKey,
    errors.PermissionDenied,
    errors.InternalError,
    errors.ServiceUnavailable,
)
_OF_MODELS: tuple[type[GatewayError], ...] = (
    errors.InsufficientQuota,
    errors.ModelNotFound,
    errors.BodyTimeout,
    errors.RequestTooLarge,
    errors.UnsupportedMediaType,
    errors.RateLimit,
    errors.UpstreamError,
)


def hot_paths() -> dict[str, Any]:
    """Return a path item for each endpoint that is answered before the calm part of ``/v1``."""
    return {path: {"post": _operation(path, words)} for path, words in _WORDS.items()}


def schemas() -> dict[str, Any]:
    """Return every schema that the hot paths and the refusals refer to."""
    found: dict[str, Any] = {**ERROR_SCHEMAS, **answer_schemas()}
    for path in BODIES:
        found |= body_schemas(path)
    return found


def request_body(*required: str, content_type: str = "application/json") -> dict[str, Any]:
    """Return what is said of a body that must hold some fields."""
    schema = {"type": "object", "required": list(required)}
    return {"required": True, "content": {content_type: {"schema": schema}}}


def add_refusals(paths: dict[str, Any]) -> None:
    """Say of each operation how it refuses, and in what shape; the calm paths have Anthropic's for its own SDKs."""
    for path, item in paths.items():
        if path.startswith("/v1/messages"):
            schema: dict[str, Any] = _ANTHROPIC
        else:
            schema = _OPENAI if path in _WORDS else {"anyOf": [_ANTHROPIC, _OPENAI]}
        kinds: tuple[type[GatewayError], ...] = (
            _OF_ALL + _OF_MODELS if path in _WORDS else (*_OF_ALL, errors.NotFound)
        )
        refusals = _refusals(path, kinds, schema)
        for operation in item.values():
            operation["responses"] |= refusals | {"default": _refusal("Refused", schema)}


def _refusals(path: str, kinds: tuple[type[GatewayError], ...], schema: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, list[str]] = {}
    for kind in sorted(kinds, key=lambda kind: kind.status):
        told.setdefault(_status(path, kind), []).append(f"`{kind.code}`: {_plain(kind)}")
    return {status: _refusal(". ".join(texts), schema) for status, texts in told.items()}


def _status(path: str, kind: type[GatewayError]) -> str:
    # Anthropic's SDKs know 529 for what is 503 elsewhere.
    return "529" if kind.status == 503 and path.startswith("/v1/messages") else str(kind.status)


def _plain(kind: type[GatewayError]) -> str:
    return str(kind.__doc__).partition(";")[0].rstrip(".")


def _refusal(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": about,
        "headers": _headers(_OF_REFUSALS),
        "content": {"application/json": {"schema": schema}},
    }


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _operation(path: str, words: _Words) -> dict[str, Any]:
    content_type = ENDPOINTS[path].content_type if path in ENDPOINTS else "application/json"
    names = _OF_ANSWERS if path in ENDPOINTS else ("x-request-id",)
    return {
        "operationId": words.operation_id,
        "summary": words.summary,
        "tags": [words.tag],
        "requestBody": _body(path, content_type, words.example),
        "responses": {"200": {"description": "OK", "headers": _headers(names), "content": answers(path)}},
    }


def _body(path: str, content_type: str, example: dict[str, Any]) -> dict[str, Any]:
    if path == COUNT_TOKENS:
        body = request_body("model", "messages")
    else:
        body = {"required": True, "content": {content_type: {"schema": reference(path)}}}
    body["content"][content_type]["example"] = example
    return body
