"""The internal form of a request: what is asked, independent of any client's format or upstream's protocol.

A client's format reads a body into a ``Form``; an upstream's adapter writes a form as its protocol's request. The form
keeps what any of them can say: a field that one format lacks stays at its default. JSON that is only passed on, such as
a schema, stays ``Raw``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
# How long a provider is asked to keep a prefix in its cache; empty where nothing is asked.
CacheTtl = Literal["", "5m", "1h"]


class Text(msgspec.Struct, tag="text"):
    """Plain text; ``cache`` marks the end of a prefix that is to be cached."""

    text: str
    cache: CacheTtl = ""
    # The Gemini protocol may sign text, too.
    signature: str = ""
    # OpenAI's ``phase`` of a message (commentary, final_answer); must come back as it was.
    phase: str = ""


class Image(msgspec.Struct, tag="image"):
    """A picture: either ``url``, or ``data`` in base64 with its media type."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str = ""
    cache: CacheTtl = ""


class Audio(msgspec.Struct, tag="audio"):
    """A recording in base64; ``format`` is ``wav`` or ``mp3``."""

    data: str
    format: str


class File(msgspec.Struct, tag="file"):
    """A document: ``url``, ``data`` in base64 with its media type, or plain ``text``."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    text: str = ""
    name: str = ""
    cache: CacheTtl = ""


class Refusal(msgspec.Struct, tag="refusal"):
    """What a model said instead of an answer."""

    text: str


class Thinking(msgspec.Struct, tag="thinking"):
    """What a model thought.

    ``seal`` is what its provider wants back unchanged: a signature, or the encrypted thought itself when
    ``is_redacted``. ``origin`` names who can read the seal: ``anthropic``, ``bedrock``, ``gemini``, ``openrouter``,
    ``responses``.
    """

    text: str = ""
    seal: str = ""
    is_redacted: bool = False
    origin: str = ""
    id: str = ""


class ToolCall(msgspec.Struct, tag="tool_call"):
    """A model's call of a tool; ``arguments`` is JSON text, or free text for a custom tool."""

    id: str
    name: str
    arguments: str
    is_custom: bool = False
    # Gemini's thought signature, which it demands back.
    seal: str = ""
    cache: CacheTtl = ""
    # OpenAI's tools may live in a namespace.
    namespace: str = ""


class ToolResult(msgspec.Struct, tag="tool_result"):
    """What a tool call gave."""

    call_id: str
    parts: list[Text | Image | File]
    is_error: bool = False
    is_custom: bool = False
    cache: CacheTtl = ""


class Foreign(msgspec.Struct, tag="foreign"):
    """A part that only the protocol ``origin`` understands, such as a server tool's result, as it was written."""

    origin: str
    kind: str
    raw: Raw


Part = Text | Image | Audio | File | Refusal | Thinking | ToolCall | ToolResult | Foreign


class Message(msgspec.Struct):
    """One turn. Tool results stand in user turns; instructions of any name are ``system``."""

    role: Literal["system", "user", "assistant"]
    parts: list[Part]
    name: str = ""


class FunctionTool(msgspec.Struct, tag="function"):
    """A function of the caller; ``parameters`` is a JSON schema."""

    name: str
    description: str = ""
    parameters: Raw | None = None
    strict: bool | None = None
    cache: CacheTtl = ""
    namespace: str = ""


class CustomTool(msgspec.Struct, tag="custom"):
    """A tool that takes free text; ``format`` may hold a grammar."""

    name: str
    description: str = ""
    format: Raw | None = None
    namespace: str = ""


class WebSearch(msgspec.Struct, tag="web_search"):
    """The provider's own search."""

    allowed_domains: list[str] = []
    blocked_domains: list[str] = []
    max_uses: int | None = None
    context_size: str = ""
    # city, country, region, timezone
    location: dict[str, str] = {}


class ForeignTool(msgspec.Struct, tag="foreign"):
    """A tool that only the protocol ``origin`` knows, as it was written."""

    origin: str
    kind: str
    raw: Raw


Tool = FunctionTool | CustomTool | WebSearch | ForeignTool


class ToolChoice(msgspec.Struct):
    """Whether and which tool must be called; ``names`` restricts the choice."""

    mode: Literal["auto", "none", "required"] = "auto"
    names: list[str] = []


class ResponseFormat(msgspec.Struct):
    """What shape the answer's text must have."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    name: str = ""
    schema: Raw | None = None
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct):
    """How much is thought before the answer, and how much of it is shown."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    # ``None`` where nothing was said; ``False`` forbids thoughts.
    is_enabled: bool | None = None
    summary: str = ""
    # The caller wants thoughts in a form that can be sent back later.
    wants_seal: bool = False


class Form(msgspec.Struct):
    """A whole request in the internal form."""

    messages: list[Message]
    tools: list[Tool] = []
    tool_choice: ToolChoice = msgspec.field(default_factory=ToolChoice)
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    response_format: ResponseFormat = msgspec.field(default_factory=ResponseFormat)
    reasoning: Reasoning = msgspec.field(default_factory=Reasoning)
    max_output: int | None = None
    choices: int = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: list[str] = []
    logprobs: bool = False
    top_logprobs: int | None = None
    logit_bias: dict[str, float] = {}
    verbosity: str = ""
    user: str = ""
    safety_identifier: str = ""
    prompt_cache_key: str = ""
    prompt_cache_retention: str = ""
    # Cache the whole prompt so far, wherever it ends.
    cache: CacheTtl = ""
    metadata: dict[str, str] = {}
    # Fields of chat completions that only some providers know, as they were written.
    vendor: dict[str, Any] = {}
    # What a format can say and no field here, by the format's own names; it only tunes.
    unsaid: list[str] = []
    # What only the format's own provider can do, and without which the answer would be another: see ``CannotExpress``.
    beyond: tuple[str, str] | None = None
    is_stream: bool = False
