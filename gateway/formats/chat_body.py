"""The body of a chat completion: every field of OpenAI's specification, validated, forwarded or refused.

What is forwarded is always written anew from what was parsed here, so a key that stands twice cannot mean one thing to
the price and another to the upstream. Messages, tools and formats are checked, then forwarded as they were written.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from gateway.asked import Prompt
from gateway.errors import InvalidRequest
from gateway.formats.addresses import refuse_private
from gateway.formats.documents import packed_bytes
from gateway.formats.reading import read
from gateway.formats.recordings import is_dense
from gateway.wishes import Models, Provider

Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Short = Annotated[str, Meta(max_length=512)]


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a stream carries beside the text."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ReasoningOptions(msgspec.Struct, omit_defaults=True):
    """``reasoning`` as OpenRouter documents it."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


# The fields that say something about thoughts, in the words of one provider or another.
THOUGHT_FIELDS = (
    "reasoning_effort", "thinking", "enable_thinking", "reasoning", "thinking_budget", "chat_template_kwargs",
    "reasoning_format", "include_reasoning", "clear_thinking",
)  # fmt: skip
_thoughts = operator.attrgetter(*THOUGHT_FIELDS)
_NOTHING = (None,) * len(THOUGHT_FIELDS)
_ROUTING = ("plugins", "route", "transforms")


class ChatRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A body as the caller sent it; the gateway changes a copy of it for the upstream."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    messages: Raw
    frequency_penalty: Penalty | None = None
    function_call: Raw | UnsetType = UNSET
    functions: Raw | UnsetType = UNSET
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    parallel_tool_calls: bool | None = None
    prediction: Raw | UnsetType = UNSET
    presence_penalty: Penalty | None = None
    prompt_cache_key: Short | None = None
    prompt_cache_options: Raw | UnsetType = UNSET
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning_effort: (
        Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "default"] | None
    ) = None
    response_format: Raw | UnsetType = UNSET
    safety_identifier: Short | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Short | Annotated[list[Short], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    tool_choice: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Share | None = None
    user: Short | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    # Beyond OpenAI's specification: what DeepSeek, Qwen and open-weight servers document.
    chat_template_kwargs: dict[str, Any] | None = None
    clear_thinking: bool | None = None
    enable_thinking: bool | None = None
    include_reasoning: bool | None = None
    min_p: Share | None = None
    reasoning: ReasoningOptions | None = None
    reasoning_format: Literal["parsed", "raw", "hidden", "none"] | None = None
    repetition_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    thinking: dict[str, Any] | None = None
    thinking_budget: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=100_000)] | None = None
    # Accepted, but never forwarded or only in one meaning; see ``_refuse_unsupported``.
    audio: Raw | UnsetType = UNSET
    metadata: Annotated[dict[str, Short], Meta(max_length=16)] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: Raw | UnsetType = UNSET
    service_tier: str | None = None
    store: bool | None = None
    usage: dict[str, Any] | None = None
    web_search_options: Raw | UnsetType = UNSET
    # For us alone, and taken off before anything is forwarded; see ``gateway.wishes``.
    models: Models | None = None
    provider: Provider | None = None
    # What else another gateway would be told: refused.
    plugins: Any = None
    route: Any = None
    transforms: Any = None

    @property
    def explicit_max(self) -> int | None:
        """The most output tokens that the caller asked for, if any was named."""
        if self.max_completion_tokens is None:
            return self.max_tokens
        if self.max_tokens is None:
            return self.max_completion_tokens
        # Upstreams differ in which of the two they obey.
        return max(self.max_tokens, self.max_completion_tokens)

    @property
    def is_reasoned(self) -> bool:
        """Tell whether anything was said about thoughts."""
        return _thoughts(self) != _NOTHING

    @property
    def is_legacy(self) -> bool:
        """Tell whether the caller knows functions alone, as there were before tools."""
        return self.functions is not UNSET and self.tools is UNSET

    @property
    def hides_thoughts(self) -> bool:
        """Tell whether the caller wants the answer without the thoughts before it."""
        options = self.reasoning
        return (
            self.reasoning_format == "hidden"
            or self.include_reasoning is False
            or bool(options is not None and options.exclude)
        )


class _ImageUrl(msgspec.Struct):
    url: Annotated[str, Meta(min_length=1)]
    detail: Literal["auto", "low", "high", "original"] | None = None


class _TextPart(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _RefusalPart(msgspec.Struct, tag_field="type", tag="refusal"):
    refusal: str


class _ImagePart(msgspec.Struct, tag_field="type", tag="image_url"):
    image_url: _ImageUrl


class _AudioData(msgspec.Struct):
    data: str
    format: str


class _AudioPart(msgspec.Struct, tag_field="type", tag="input_audio"):
    input_audio: _AudioData


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _FilePart(msgspec.Struct, tag_field="type", tag="file"):
    file: _File


class _Location(msgspec.Struct):
    approximate: dict[str, str | None] = {}


class SearchOptions(msgspec.Struct):
    """``web_search_options`` as OpenAI documents them."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: _Location | None = None


_Part = _TextPart | _RefusalPart | _ImagePart | _AudioPart | _FilePart
_Content = str | list[_Part]


class _Called(msgspec.Struct):
    name: str
    arguments: str


class _CustomCalled(msgspec.Struct):
    name: str
    input: str


class _FunctionCall(msgspec.Struct, tag_field="type", tag="function"):
    id: str
    function: _Called


class _CustomCall(msgspec.Struct, tag_field="type", tag="custom"):
    id: str
    custom: _CustomCalled


class _System(msgspec.Struct, tag_field="role", tag="system"):
    content: _Content


class _Developer(msgspec.Struct, tag_field="role", tag="developer"):
    content: _Content


class _User(msgspec.Struct, tag_field="role", tag="user"):
    content: _Content


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: _Content | None = None
    tool_calls: list[_FunctionCall | _CustomCall] | None = None


class _Tool(msgspec.Struct, tag_field="role", tag="tool"):
    tool_call_id: str
    content: _Content


class _Function(msgspec.Struct, tag_field="role", tag="function"):
    name: str
    content: str | None = None


_Message = _System | _Developer | _User | _Assistant | _Tool | _Function

# A picture that is not made smaller has the tokens of so many others.
PICTURES_AS_THEY_ARE = 3
FunctionName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]


class _FunctionSpec(msgspec.Struct):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _FunctionTool(msgspec.Struct, tag_field="type", tag="function"):
    function: _FunctionSpec


class _CustomSpec(msgspec.Struct):
    name: FunctionName


class _CustomTool(msgspec.Struct, tag_field="type", tag="custom"):
    custom: _CustomSpec


class _SchemaSpec(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    schema: dict[str, Any] | None = None


class _TextFormat(msgspec.Struct, tag_field="type", tag="text"):
    pass


class _ObjectFormat(msgspec.Struct, tag_field="type", tag="json_object"):
    pass


class _SchemaFormat(msgspec.Struct, tag_field="type", tag="json_schema"):
    json_schema: _SchemaSpec


_DECODER = msgspec.json.Decoder(ChatRequest)
_MESSAGES = msgspec.json.Decoder(Annotated[list[_Message], Meta(min_length=1, max_length=10_000)])
_CHECKS: tuple[tuple[str, msgspec.json.Decoder[Any]], ...] = (
    ("tools", msgspec.json.Decoder(Annotated[list[_FunctionTool | _CustomTool], Meta(max_length=512)])),
    ("tool_choice", msgspec.json.Decoder(Literal["none", "auto", "required"] | dict[str, Any])),
    ("response_format", msgspec.json.Decoder(_TextFormat | _ObjectFormat | _SchemaFormat)),
    ("functions", msgspec.json.Decoder(Annotated[list[_FunctionSpec], Meta(min_length=1, max_length=128)])),
    ("function_call", msgspec.json.Decoder(Literal["none", "auto"] | dict[str, str])),
    ("prediction", msgspec.json.Decoder(dict[str, Any])),
    ("prompt_cache_options", msgspec.json.Decoder(dict[str, Any])),
    ("audio", msgspec.json.Decoder(dict[str, Any])),
    ("moderation", msgspec.json.Decoder(dict[str, Any])),
    ("web_search_options", msgspec.json.Decoder(SearchOptions)),
)
# The types of what a body keeps as it was written, for its description.
PARTS = {"messages": _MESSAGES.type, **{name: decoder.type for name, decoder in _CHECKS}}


def parse_chat(body: bytes) -> tuple[ChatRequest, Prompt]:
    """Read a chat completion's body; raises ``InvalidRequest`` that names the parameter."""
    request = read(_DECODER, body)
    messages = read(_MESSAGES, request.messages, "messages")
    for name, decoder in _CHECKS:
        if getattr(request, name) is not UNSET:
            _check_raw(request, name, decoder)
    _refuse_unsupported(request)
    return request, _weigh(request, messages)


def _check_raw(request: ChatRequest, name: str, decoder: msgspec.json.Decoder[Any]) -> None:
    value = getattr(request, name)
    if bytes(value) == b"null":
        setattr(request, name, UNSET)
    else:
        read(decoder, value, name)


def _refuse_unsupported(request: ChatRequest) -> None:
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("'stream_options' needs 'stream': true.", param="stream_options")
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    if request.store:
        raise InvalidRequest("'store': true is not offered: completions are not kept here.", param="store")
    if request.audio is not UNSET or "audio" in (request.modalities or ()):
        raise InvalidRequest("Audio output is not offered on this endpoint.", param="modalities")
    if request.moderation is not UNSET:
        raise InvalidRequest(
            "'moderation' is not offered on this endpoint: use /v1/moderations.", param="moderation"
        )
    # Groq's clients name its usual tier.
    if request.service_tier not in {None, "auto", "default", "on_demand"}:
        raise InvalidRequest("Only the 'auto' and 'default' service tiers are offered.", param="service_tier")
    _refuse_routing(request)


def _refuse_routing(request: ChatRequest) -> None:
    if request.plugins is request.route is request.transforms is None:
        return
    for name in _ROUTING:
        if getattr(request, name) is not None:
            raise InvalidRequest(
                f"'{name}' is not offered: further models stand in 'models', and what you wish of providers in 'provider'.",
                param=name,
            )


def _weigh(request: ChatRequest, messages: list[Any]) -> Prompt:
    size = len(bytes(request.messages))
    for extra in (request.tools, request.functions, request.response_format):
        size += len(bytes(extra)) if extra is not UNSET else 0
    images = audios = files = audio_bytes = document_bytes = fetches = 0
    for message in messages:
        content = message.content
        if type(content) is not list:
            continue
        for part in content:
            if type(part) is _ImagePart:
                refuse_private(part.image_url.url, "messages.image_url.url")
                images += PICTURES_AS_THEY_ARE if part.image_url.detail == "original" else 1
                size -= len(part.image_url.url)
            elif type(part) is _AudioPart:
                audios += 1
                audio_bytes += len(part.input_audio.data)
                fetches += is_dense(part.input_audio.data, part.input_audio.format)
            elif type(part) is _FilePart:
                _refuse_kept_file(part.file)
                files += 1
                document_bytes += packed_bytes(part.file.file_data or "")
    return Prompt(
        text_bytes=max(0, size - audio_bytes),
        images=images,
        audios=audios,
        files=files,
        audio_bytes=audio_bytes,
        document_bytes=document_bytes,
        has_tools=request.tools is not UNSET or request.functions is not UNSET,
        has_search=request.web_search_options is not UNSET,
        fetches=fetches,
        predicted_bytes=0 if request.prediction is UNSET else len(bytes(request.prediction)),
    )


def _refuse_kept_file(file: _File) -> None:
    # An id would name a file in our own account at a provider.
    if file.file_id:
        raise InvalidRequest(
            "Files are not kept here: send the file itself as 'file_data'.", param="messages.file.file_id"
        )
