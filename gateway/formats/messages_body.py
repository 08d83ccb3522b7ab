"""The shapes in the body of a message: every field of Anthropic's published SDK.

What is forwarded is always written anew from what was parsed here; ``messages_read`` checks and weighs it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from gateway.asked import MOST_SEARCHES
from gateway.wishes import Models, Provider

# The most pages that are fetched for one answer where the caller names no limit, and questions to one server.
MOST_FETCHES = 5

Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Short = Annotated[str, Meta(max_length=512)]


class MessagesRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A body as the caller sent it; the gateway changes a copy of it for the upstream."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    messages: Raw
    max_tokens: Count | None = None
    cache_control: Raw | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    output_config: Raw | UnsetType = UNSET
    output_format: Raw | UnsetType = UNSET
    service_tier: Literal["auto", "standard_only"] | None = None
    stop_sequences: Annotated[list[Short], Meta(max_length=64)] | None = None
    stream: bool | None = None
    system: Raw | UnsetType = UNSET
    temperature: Share | None = None
    thinking: Raw | UnsetType = UNSET
    tool_choice: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    top_k: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    top_p: Share | None = None
    # What only Anthropic's own models know.
    compaction: Raw | UnsetType = UNSET
    context_management: Raw | UnsetType = UNSET
    diagnostics: Raw | UnsetType = UNSET
    mcp_servers: Raw | UnsetType = UNSET
    # For us alone, and taken off before anything is forwarded; see ``gateway.wishes``.
    models: Models | None = None
    provider: Provider | None = None
    # Accepted in one meaning alone, and never forwarded; see ``messages_read``.
    billing_policy: Raw | UnsetType = UNSET
    container: Raw | UnsetType = UNSET
    fallback_credit_token: Raw | UnsetType = UNSET
    fallbacks: Raw | UnsetType = UNSET
    inference_geo: str | None = None
    speed: str | None = None
    thread: Raw | UnsetType = UNSET
    user_profile_id: Raw | UnsetType = UNSET
    workspace_id: Raw | UnsetType = UNSET


class Source(msgspec.Struct):
    """Where a picture or document is."""

    type: str
    data: str = ""
    media_type: str = ""
    url: str = ""
    content: Raw = Raw(b"")


class Block(msgspec.Struct):
    """One block of content, of whatever kind."""

    type: str
    text: str | UnsetType = UNSET
    source: Source | str | UnsetType = UNSET
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    input: dict[str, Any] | UnsetType = UNSET
    tool_use_id: str | UnsetType = UNSET
    content: Raw | UnsetType = UNSET
    is_error: bool | None = None
    title: str | None = None
    context: str | None = None
    citations: Raw | UnsetType = UNSET
    cache_control: CacheControl | None = None


class CacheControl(msgspec.Struct):
    """The end of a prefix that is to be cached."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Turn(msgspec.Struct):
    """One message; one that only sets the effort from here on has no content."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block] | UnsetType = UNSET
    output_config: Raw | UnsetType = UNSET


class Tool(msgspec.Struct):
    """One tool, of the caller or of Anthropic."""

    type: str | None = None
    name: str = ""
    description: str | None = None
    input_schema: Raw = Raw(b"")
    strict: bool | None = None
    cache_control: CacheControl | None = None
    max_uses: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: dict[str, str | None] | None = None

    @property
    def is_function(self) -> bool:
        """Tell whether it is the caller's own."""
        return self.type in {None, "custom"}

    @property
    def is_search(self) -> bool:
        """Tell whether it is the provider's search, which is billed by the use."""
        return bool(self.type and self.type.startswith("web_search_"))

    @property
    def is_fetch(self) -> bool:
        """Tell whether it fetches pages, which are billed as input."""
        return bool(self.type and self.type.startswith("web_fetch_"))

    @property
    def most_uses(self) -> int | None:
        """Return the limit that is set where the caller names none, if one is needed."""
        if self.max_uses is not None:
            return None
        return MOST_SEARCHES if self.is_search else MOST_FETCHES if self.is_fetch else None


class Thinking(msgspec.Struct):
    """How the model is to think."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1_024, le=10_000_000)] | None = None
    display: Literal["summarized", "omitted", "updates"] | None = None


class OutputFormat(msgspec.Struct):
    """The shape of the answer's text."""

    type: Literal["json_schema"]
    schema: Raw


class OutputConfig(msgspec.Struct):
    """The shape of the answer, and the effort for it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None
    task_budget: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct):
    """Whether and which tool must be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class Metadata(msgspec.Struct):
    """Who asks, in the caller's own words."""

    user_id: Annotated[str, Meta(max_length=4_096)] | None = None


REQUEST = msgspec.json.Decoder(MessagesRequest)
TURNS = msgspec.json.Decoder(Annotated[list[Turn], Meta(min_length=1, max_length=100_000)])
BLOCKS = msgspec.json.Decoder(list[Block])
CONTENT = msgspec.json.Decoder(str | list[Block])
TOOLS = msgspec.json.Decoder(Annotated[list[Tool], Meta(max_length=1_024)])
THINKING = msgspec.json.Decoder(Thinking)
OUTPUT_CONFIG = msgspec.json.Decoder(OutputConfig)
OUTPUT_FORMAT = msgspec.json.Decoder(OutputFormat)
TOOL_CHOICE = msgspec.json.Decoder(ToolChoice)
METADATA = msgspec.json.Decoder(Metadata)
CACHE_CONTROL = msgspec.json.Decoder(CacheControl)
