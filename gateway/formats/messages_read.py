"""Reads the body of a message: validated, weighed for the hold, and refused where it must be.

Kinds of content that come later pass; fields and tools that nobody here knows do not, because they may cost what nobody
here has priced.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from catalog.pricing import Usage
from gateway.asked import MOST_SEARCHES, Prompt
from gateway.errors import InvalidRequest
from gateway.formats.addresses import refuse_private
from gateway.formats.messages_body import (
    CACHE_CONTROL,
    CONTENT,
    METADATA,
    MOST_FETCHES,
    OUTPUT_CONFIG,
    OUTPUT_FORMAT,
    REQUEST,
    THINKING,
    TOOL_CHOICE,
    TOOLS,
    TURNS,
    Block,
    MessagesRequest,
    Source,
    Tool,
    Turn,
)
from gateway.formats.messages_errors import NoThreads
from gateway.formats.messages_seals import is_wrapped
from gateway.formats.reading import read

_ANY_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ANY_LIST = msgspec.json.Decoder(list[dict[str, Any]])
_CHECKS: tuple[tuple[str, msgspec.json.Decoder[Any]], ...] = (
    ("cache_control", CACHE_CONTROL),
    ("metadata", METADATA),
    ("output_config", OUTPUT_CONFIG),
    ("output_format", OUTPUT_FORMAT),
    ("system", CONTENT),
    ("thinking", THINKING),
    ("tool_choice", TOOL_CHOICE),
    ("compaction", _ANY_OBJECT),
    ("context_management", _ANY_OBJECT),
    ("diagnostics", _ANY_OBJECT),
    ("mcp_servers", _ANY_LIST),
)
_REFUSED = (
    "billing_policy",
    "container",
    "fallback_credit_token",
    "fallbacks",
    "user_profile_id",
    "workspace_id",
)
# Tools that cost nothing but their tokens, or that the caller runs; searches have a price of their own.
_OFFERED_TOOLS = (
    "web_search_",
    "web_fetch_",
    "tool_search_tool_",
    "mcp_toolset",
    "bash_",
    "text_editor_",
    "memory_",
    "computer_",
    "browser_",
)
_NEEDED: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
}


class Read(msgspec.Struct):
    """What was read of a body, and what the passages must know of it."""

    request: MessagesRequest
    prompt: Prompt
    units: Usage
    # Some thoughts or citations are not Anthropic's, so it must not see them.
    has_strange_thoughts: bool = False
    # Some search or fetch has no limit of its own.
    has_endless_tool: bool = False


def parse_messages(body: bytes, *, needs_maximum: bool = True) -> Read:
    """Read a body; raises ``InvalidRequest`` that names the parameter."""
    request = read(REQUEST, body)
    if needs_maximum and request.max_tokens is None:
        raise InvalidRequest("Missing required parameter: 'max_tokens'.", param="max_tokens")
    turns = read(TURNS, request.messages, "messages")
    for name in request.__struct_fields__:
        value = getattr(request, name)
        if isinstance(value, Raw) and bytes(value) == b"null":
            setattr(request, name, UNSET)
    for name, decoder in _CHECKS:
        if (value := getattr(request, name)) is not UNSET:
            read(decoder, value, name)
    tools = read(TOOLS, request.tools, "tools") if request.tools is not UNSET else []
    _refuse_unsupported(request)
    _check_tools(tools)
    _check_thinking(request)
    weight = _Weight()
    for place, turn in enumerate(turns):
        _refuse_without_content(turn, f"messages[{place}]")
        weight.take(turn.content or "", f"messages[{place}].content")
    searches = [tool.max_uses for tool in tools if tool.is_search]
    return Read(
        request,
        msgspec.structs.replace(
            weight.prompt(request, has_tools=bool(tools), has_search=bool(searches)),
            fetches=_fetches(request, tools),
        ),
        Usage(0, 0, 0, 0, 0, searches=sum(most or MOST_SEARCHES for most in searches)),
        has_strange_thoughts=weight.has_strange_thoughts,
        has_endless_tool=any(tool.most_uses for tool in tools),
    )


def _fetches(request: MessagesRequest, tools: list[Tool]) -> int:
    """Return how much Anthropic may read beside the prompt: pages, answers of servers, all of it once more."""
    pages = sum(tool.max_uses or MOST_FETCHES for tool in tools if tool.is_fetch)
    servers = _ANY_LIST.decode(request.mcp_servers) if isinstance(request.mcp_servers, Raw) else []
    rereads = request.compaction is not UNSET or (
        isinstance(request.context_management, Raw) and b"compact" in bytes(request.context_management)
    )
    return pages + MOST_FETCHES * len(servers) + rereads


def _refuse_unsupported(request: MessagesRequest) -> None:
    for name in _REFUSED:
        if getattr(request, name) is not UNSET:
            raise InvalidRequest(f"'{name}' is not offered here.", param=name)
    if request.thread is not UNSET:
        raise NoThreads("'thread' is not offered here: send the whole conversation.", param="thread")
    if request.speed not in {None, "standard"}:
        raise InvalidRequest("Only the 'standard' speed is offered.", param="speed")
    if request.inference_geo not in {None, "global"}:
        raise InvalidRequest("Only the 'global' inference_geo is offered.", param="inference_geo")


def _check_tools(tools: list[Tool]) -> None:
    for place, tool in enumerate(tools):
        if tool.is_function:
            if not tool.name or not bytes(tool.input_schema).startswith(b"{"):
                raise InvalidRequest(
                    f"'tools[{place}]' needs a 'name' and an 'input_schema'.", param=f"tools[{place}]"
                )
        elif not (tool.type or "").startswith(_OFFERED_TOOLS):
            raise InvalidRequest(
                f"The tool '{tool.type}' is not offered here: it is billed apart from the tokens.",
                param=f"tools[{place}].type",
            )


def _check_thinking(request: MessagesRequest) -> None:
    if request.thinking is UNSET:
        return
    thinking = THINKING.decode(request.thinking)
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        raise InvalidRequest(
            "Missing required parameter: 'thinking.budget_tokens'.", param="thinking.budget_tokens"
        )


def _refuse_kept_file(kind: object, place: str) -> None:
    # It would be one in our own account.
    if kind == "file":
        raise InvalidRequest(
            "Files are not kept here: send the file itself, or its URL.", param=f"{place}.source.type"
        )


def _refuse_without_content(turn: Turn, place: str) -> None:
    sets_effort = turn.role == "system" and turn.output_config is not UNSET
    if turn.content is UNSET and not sets_effort:
        raise InvalidRequest(f"Missing required parameter: '{place}.content'.", param=f"{place}.content")


def _refuse_incomplete(block: Block, place: str) -> None:
    for name in _NEEDED.get(block.type, ()):
        if getattr(block, name) is UNSET:
            raise InvalidRequest(f"Missing required parameter: '{place}.{name}'.", param=f"{place}.{name}")


def cites_others(citations: Raw) -> bool:
    """Tell whether a text cites what another provider found, of which Anthropic has no index."""
    cited = msgspec.json.decode(citations)
    return isinstance(cited, list) and any(
        isinstance(each, dict) and each.get("encrypted_index") == "" for each in cited
    )


class _Weight:
    """Counts what a prompt holds, and checks its blocks on the way."""

    def __init__(self) -> None:
        self.images = self.files = self.media_bytes = 0
        self.has_strange_thoughts = False

    def take(self, content: str | list[Block], place: str) -> None:
        """Weigh a list of blocks; raises ``InvalidRequest``."""
        if isinstance(content, str):
            return
        for index, block in enumerate(content):
            self._take(block, f"{place}[{index}]")

    def _take(self, block: Block, place: str) -> None:
        _refuse_incomplete(block, place)
        if block.type in {"image", "document"}:
            self._take_medium(block, place)
        elif block.type == "tool_result" and isinstance(block.content, Raw):
            self.take(read(CONTENT, block.content, f"{place}.content"), f"{place}.content")
        elif isinstance(block.content, Raw) and b'"source"' in bytes(block.content):
            self._take_hidden(msgspec.json.decode(block.content), place)
        elif block.type == "thinking":
            self.has_strange_thoughts |= not block.signature or is_wrapped(str(block.signature))
        elif block.type == "text":
            self.has_strange_thoughts |= isinstance(block.citations, Raw) and cites_others(block.citations)
        elif block.type == "redacted_thinking":
            self.has_strange_thoughts |= is_wrapped(str(block.data))
        elif block.type == "container_upload":
            raise InvalidRequest("Files are not kept here.", param=f"{place}.type")

    def _take_medium(self, block: Block, place: str) -> None:
        source = block.source
        if not isinstance(source, Source):
            raise InvalidRequest(f"Invalid value for '{place}.source'.", param=f"{place}.source")
        _refuse_kept_file(source.type, place)
        if source.type == "url":
            refuse_private(source.url, f"{place}.source.url")
        if source.type == "content" and bytes(source.content):
            self.take(read(CONTENT, source.content, f"{place}.source.content"), f"{place}.source.content")
        if block.type == "image":
            self.images += 1
            self.media_bytes += len(source.data)
        elif source.type in {"base64", "url"}:
            self.files += 1

    def _take_hidden(self, value: Any, place: str) -> None:
        """Count the media in what a tool of Anthropic's gave, whatever its shape."""
        if isinstance(value, list):
            for each in value:
                self._take_hidden(each, place)
        elif isinstance(value, dict):
            source = value.get("source")
            if isinstance(source, dict):
                _refuse_kept_file(source.get("type"), place)
                self.images += value.get("type") == "image"
                self.files += value.get("type") == "document" and source.get("type") != "text"
            for each in value.values():
                self._take_hidden(each, place)

    def prompt(self, request: MessagesRequest, *, has_tools: bool, has_search: bool) -> Prompt:
        """Return what the whole prompt holds."""
        size = len(bytes(request.messages)) - self.media_bytes
        for extra in (request.system, request.tools, request.output_config, request.output_format):
            size += len(bytes(extra)) if isinstance(extra, Raw) else 0
        return Prompt(
            text_bytes=max(0, size),
            images=self.images,
            audios=0,
            files=self.files,
            has_tools=has_tools,
            has_search=has_search,
        )
