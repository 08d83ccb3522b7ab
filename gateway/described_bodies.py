"""The schemas of the hot endpoints' bodies, made from the very structures that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway import described_words as words
from gateway.formats import chat_body, messages_body
from gateway.formats.chat_body import ChatRequest
from gateway.formats.completions import CompletionRequest
from gateway.formats.embeddings import EmbeddingsRequest
from gateway.formats.images import ImagesRequest
from gateway.formats.messages_body import MessagesRequest
from gateway.formats.moderations import ModerationsRequest
from gateway.formats.responses_body import ResponsesRequest
from gateway.formats.speech import SpeechRequest
from gateway.formats.transcriptions import TranscriptionRequest

_REFERENCE = "#/components/schemas/"
_Items = str | list[dict[str, Any]]


class Turn(msgspec.Struct):
    """One message: a text, or blocks such as ``text``, ``image``, ``document``, ``tool_use`` and ``tool_result``."""

    role: Literal["user", "assistant", "system"]
    content: _Items


class Tool(msgspec.Struct):
    """A tool of yours: a name, what it does, and the JSON schema of its input."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] = {}
    type: str | None = None


class Body(NamedTuple):
    """How one path's body is described: ``parts`` are the types of what its structure keeps as it was written."""

    prefix: str
    shape: type[msgspec.Struct]
    words: Mapping[str, str]
    parts: Mapping[str, Any]
    required: tuple[str, ...] = ()


BODIES: Mapping[str, Body] = {
    "/v1/chat/completions": Body("Chat", ChatRequest, words.CHAT, chat_body.PARTS),
    "/v1/completions": Body("Completion", CompletionRequest, words.COMPLETIONS, {}),
    "/v1/responses": Body(
        "Response",
        ResponsesRequest,
        words.RESPONSES,
        {"input": _Items, "tools": list[dict[str, Any]], "tool_choice": str | dict[str, Any]},
    ),
    "/v1/messages": Body(
        "Message",
        MessagesRequest,
        words.MESSAGES,
        {
            "messages": list[Turn],
            "system": _Items,
            "tools": list[Tool],
            "thinking": messages_body.Thinking,
            "tool_choice": messages_body.ToolChoice,
            "metadata": messages_body.Metadata,
            "cache_control": messages_body.CacheControl,
            "output_config": dict[str, Any],
        },
        ("max_tokens",),
    ),
    "/v1/embeddings": Body(
        "Embedding", EmbeddingsRequest, words.EMBEDDINGS, {"input": str | list[str | int | list[int]]}
    ),
    "/v1/moderations": Body(
        "Moderation", ModerationsRequest, words.MODERATIONS, {"input": str | list[str | dict[str, Any]]}
    ),
    "/v1/images/generations": Body("Image", ImagesRequest, words.IMAGES, {}),
    "/v1/audio/speech": Body("Speech", SpeechRequest, words.SPEECH, {}),
    "/v1/audio/transcriptions": Body("Transcription", TranscriptionRequest, words.TRANSCRIPTIONS, {}),
}


class Parameter(NamedTuple):
    """One parameter of a body, for a reader."""

    name: str
    kind: str
    is_required: bool
    about: str


def parameters(path: str) -> Iterator[Parameter]:
    """Return the parameters of a path's body, in the order of their words."""
    schema = body_schemas(path)[_name(BODIES[path])]
    for name, about in BODIES[path].words.items():
        yield Parameter(name, _kind(schema["properties"][name]), name in schema["required"], about)


def reference(path: str) -> dict[str, str]:
    """Return the reference to the schema of a path's body."""
    return {"$ref": f"{_REFERENCE}{_name(BODIES[path])}"}


def body_schemas(path: str) -> dict[str, Any]:
    """Return the schema of a path's body and all that it refers to, by their names in the document."""
    body = BODIES[path]
    (top,), parts = msgspec.json.schema_components([_offered(path)], ref_template=f"{_REFERENCE}{{name}}")
    name = top["$ref"].removeprefix(_REFERENCE)
    schema = parts[name]
    schema["required"] = [*schema.get("required", ()), *body.required]
    for field, about in body.words.items():
        schema["properties"][field] = _told(schema["properties"][field], about)
    if "file" in schema["properties"]:
        schema["properties"]["file"] = {
            "type": "string",
            "format": "binary",
            "description": body.words["file"],
        }
    names = {each: body.prefix + each.lstrip("_").removeprefix(body.prefix) for each in parts}
    names[name] = _name(body)
    return {names[each]: _renamed(part, names) for each, part in parts.items()}


def _name(body: Body) -> str:
    return f"{body.prefix}Body"


def _offered(path: str) -> type[msgspec.Struct]:
    """Return a body's structure without what is not offered, and with the types of its parts."""
    body, hidden = BODIES[path], words.NOT_OFFERED.get(path, frozenset[str]())
    fields: list[Any] = []
    for field in msgspec.structs.fields(body.shape):
        kind = body.parts.get(field.name, field.type)
        if field.name in hidden:
            continue
        if field.required:
            fields.append((field.encode_name, kind))
        elif isinstance(field.default, Raw) or field.default is UNSET:
            fields.append((field.encode_name, kind | UnsetType, UNSET))
        elif field.default is msgspec.NODEFAULT:
            fields.append((field.encode_name, kind, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.encode_name, kind, field.default))
    ordered = sorted(fields, key=lambda field: len(field) > 2)
    return msgspec.defstruct(f"_{body.prefix}Body", ordered, forbid_unknown_fields=True)


def _told(schema: dict[str, Any], about: str) -> dict[str, Any]:
    """Return a parameter's schema with its description; that it may be null is said in fewer words."""
    told = {name: value for name, value in schema.items() if name != "default" or value is not None}
    return {**told, "description": about}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a schema that refers to others by their names in the document, and keeps no titles."""
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, str):
        known = value.removeprefix(_REFERENCE)
        return f"{_REFERENCE}{names[known]}" if value.startswith(_REFERENCE) else value
    if not isinstance(value, dict):
        return value
    return {
        name: _renamed(each, names)
        for name, each in value.items()
        if not (name == "title" and isinstance(each, str))
    }


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a schema's type in a word or two."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if choices:
        return " or ".join(dict.fromkeys(map(_kind, choices)))
    if "enum" in schema:
        return "string"
    return str(schema.get("type", "object" if "$ref" in schema else "any"))
