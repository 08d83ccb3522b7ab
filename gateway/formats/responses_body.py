"""The body of a Responses request: every field of OpenAI's specification, validated, forwarded or refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from gateway.errors import InvalidRequest
from gateway.formats.reading import read
from gateway.wishes import Models, Provider

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Short = Annotated[str, Meta(max_length=512)]
Includable = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]
SEALS: Includable = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How a stream is sent."""

    include_obfuscation: bool | None = None


class ReasoningOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How much is thought, and how much of it shown."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    # The older name of ``summary``.
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: Literal["standard", "pro"] | None = None


class TextOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What shape the text has."""

    format: Raw | UnsetType = UNSET
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponsesRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A body as the caller sent it; the gateway changes a copy of it for the upstream."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    # May be left out where an earlier response is gone on from.
    input: Raw = Raw(b"null")
    background: bool | None = None
    context_management: list[dict[str, Any]] | None = None
    include: Annotated[list[Includable], Meta(max_length=16)] | None = None
    instructions: str | None = None
    max_output_tokens: Count | None = None
    max_tool_calls: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    metadata: Annotated[dict[Annotated[str, Meta(max_length=64)], Short], Meta(max_length=16)] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: Short | None = None
    prompt_cache_key: Short | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning: ReasoningOptions | None = None
    safety_identifier: Short | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: TextOptions | None = None
    tool_choice: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Share | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: Short | None = None
    # For us alone, and taken off before anything is forwarded; see ``gateway.wishes``.
    models: Models | None = None
    provider: Provider | None = None
    # Accepted, but never forwarded or only in one meaning; see ``_refuse_unsupported``.
    access_programs: dict[str, Any] | None = None
    background_options: dict[str, Any] | None = None
    # Codex describes itself.
    client_metadata: dict[str, Any] | None = None
    conversation: str | dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    service_tier: str | None = None

    def includes(self, name: str) -> bool:
        """Tell whether something is to be included in the answer."""
        return name in (self.include or ())


class _SchemaFormat(msgspec.Struct, tag_field="type", tag="json_schema"):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class _TextFormat(msgspec.Struct, tag_field="type", tag="text"):
    pass


class _ObjectFormat(msgspec.Struct, tag_field="type", tag="json_object"):
    pass


_DECODER = msgspec.json.Decoder(ResponsesRequest)
_FORMAT = msgspec.json.Decoder(_SchemaFormat | _TextFormat | _ObjectFormat)
_NULL = b"null"
_REFUSED = {
    "access_programs": "'access_programs' are not offered here. Leave the field out.",
    "conversation": "Conversations are not kept here. Send the items themselves, or use 'previous_response_id'.",
    "moderation": "'moderation' is not offered on this endpoint. Use /v1/moderations.",
    "prompt": "Prompt templates are not kept here. Send 'instructions' and 'input' themselves.",
}


def read_body(body: bytes) -> ResponsesRequest:
    """Read a body; raises ``InvalidRequest`` that names the parameter."""
    request = read(_DECODER, body)
    for name in ("tools", "tool_choice"):
        if getattr(request, name) is not UNSET and bytes(getattr(request, name)) == _NULL:
            setattr(request, name, UNSET)
    if bytes(request.input) == _NULL:
        request.input = _no_input(request)
    text = request.text
    if text is not None and text.format is not UNSET:
        if bytes(text.format) == _NULL:
            text.format = UNSET
        else:
            read(_FORMAT, text.format, "text.format")
    _refuse_unsupported(request)
    return request


def _no_input(request: ResponsesRequest) -> Raw:
    if not request.previous_response_id:
        raise InvalidRequest("'input' or 'previous_response_id' must be given.", param="input")
    return Raw(b"[]")


def _refuse_unsupported(request: ResponsesRequest) -> None:
    for name, reason in _REFUSED.items():
        if getattr(request, name) is not None:
            raise InvalidRequest(reason, param=name)
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("'stream_options' needs 'stream': true.", param="stream_options")
    if request.service_tier not in {None, "auto", "default"}:
        raise InvalidRequest("Only the 'auto' and 'default' service tiers are offered.", param="service_tier")
    if (request.background_options or {}).get("completion_window", "soonest") != "soonest":
        raise InvalidRequest(
            "Only the completion window 'soonest' is offered.", param="background_options.completion_window"
        )
