"""What OpenAI's Responses protocol sends: events, items and usage, as far as anything here is read.

Everything has a default: DeepSeek and self-hosted servers leave out what OpenAI always sends.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from catalog.pricing import Usage
from catalog.snapshot import Channel
from gateway.events import FinishReason
from gateway.upstreams.reports import sane

TARGET = "/responses"
# The last event of a stream repeats all of the answer and of the caller's tools.
MAX_EVENT_BYTES = 16 * 1024 * 1024


class Server(msgspec.Struct, frozen=True):
    """How the servers that speak Responses differ; what is not listed is read as generously as may be."""

    # An unsealed thought is looked for among what was kept, which is nothing; others read its text.
    looks_up_thoughts: bool = False
    has_custom_tools: bool = False
    # Searches can be limited by ``max_tool_calls``.
    limits_searches: bool = False
    # The older search costs more than twice as much where a model does not reason.
    has_dear_search: bool = False
    # Events are padded unless it is told not to; others may refuse to hear of it.
    has_padding: bool = False
    # Whoever says nothing of a stream gets none; others may stream unless told not to.
    streams_only_if_asked: bool = False


_AZURE = Server(
    looks_up_thoughts=True, has_custom_tools=True, limits_searches=True, streams_only_if_asked=True
)
_OPENAI = msgspec.structs.replace(_AZURE, has_dear_search=True, has_padding=True)
# The sandbox plays OpenAI.
_SERVERS = {"openai": _OPENAI, "azure": _AZURE, "sandbox": _OPENAI}
_OTHER = Server()


def server_of(channel: Channel) -> Server:
    """Return what is known of the server behind a channel, by its provider."""
    return _SERVERS.get(channel.provider, _OTHER)


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class ReportedUsage(msgspec.Struct):
    """``usage`` of a response."""

    input_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class Annotation(msgspec.Struct):
    """A source of a text; only those on the web are read."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Part(msgspec.Struct):
    """A part of a message, thought or summary."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    logprobs: Raw | UnsetType = UNSET


class Action(msgspec.Struct):
    """What a search did: searching costs, opening a page does not."""

    type: str = ""
    query: str | None = None
    queries: list[str] | None = None


class Item(msgspec.Struct):
    """An item of any kind."""

    type: str = ""
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    # Of a message or thought; other kinds of items may have another shape here.
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    input: str | None = None
    action: Any = None


class Incomplete(msgspec.Struct):
    """Why a response is incomplete."""

    reason: str | None = None


class Response(msgspec.Struct):
    """A response, whole or as an event tells it."""

    id: str | None = None
    status: str | None = None
    created_at: float | None = None
    output: list[Item] = []
    usage: ReportedUsage | None = None
    incomplete_details: Incomplete | None = None
    error: Any = None


class StreamEvent(msgspec.Struct):
    """An event of any kind."""

    type: str
    sequence_number: int | None = None
    item: Item | None = None
    response: Response | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: Any = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    annotation: Annotation | None = None
    logprobs: Raw | UnsetType = UNSET


# The event that ends a stream, for better or worse.
ENDS = frozenset({"response.completed", "response.incomplete"})
BREAKS = frozenset({"error", "response.failed", "response.cancelled"})
CALLS = frozenset({"function_call", "custom_tool_call"})
# Errors of a request that no other channel could serve. OpenAI tells them only once the stream has begun.
_OF_THE_REQUEST = frozenset({"bio_policy", "context_length_exceeded", "invalid_prompt"})
_OF_AN_IMAGE = ("empty_image", "failed_to_download_image", "image_", "invalid_base64_image", "invalid_image")


class Fault(msgspec.Struct):
    """An error, inside an event or a response."""

    code: str | None = None
    message: str | None = None
    param: str | None = None

    @property
    def is_of_the_request(self) -> bool:
        """Tell whether the request itself was refused."""
        code = self.code or ""
        return code in _OF_THE_REQUEST or code.startswith(_OF_AN_IMAGE)


def usage_of(reported: ReportedUsage | None, output: list[Item]) -> Usage | None:
    """Return a report in our own terms, with the searches that the output holds."""
    if reported is None or reported.input_tokens is None or reported.output_tokens is None:
        return None
    given, made = reported.input_tokens_details, reported.output_tokens_details
    return sane(
        Usage(
            input_tokens=reported.input_tokens,
            cached_tokens=(given and given.cached_tokens) or 0,
            cache_write_tokens=(given and given.cache_write_tokens) or 0,
            output_tokens=reported.output_tokens,
            reasoning_tokens=(made and made.reasoning_tokens) or 0,
            searches=sum(map(is_search, output)),
        )
    )


def is_search(item: Item) -> bool:
    """Tell whether an item is a search that is paid for; one that does not say what it did counts as one."""
    if item.type != "web_search_call":
        return False
    kind = item.action.get("type") if isinstance(item.action, dict) else None
    return kind is None or kind == "search"


def query_of(item: Item) -> str:
    """Return what was searched for."""
    if not isinstance(item.action, dict):
        return ""
    query, queries = item.action.get("query"), item.action.get("queries")
    if isinstance(query, str) and query:
        return query
    return str(queries[0]) if isinstance(queries, list) and queries else ""


def reason_of(response: Response) -> FinishReason:
    """Return why an answer ended."""
    if response.status == "incomplete":
        why = response.incomplete_details and response.incomplete_details.reason
        return "content_filter" if why == "content_filter" else "length"
    return "tool_calls" if any(item.type in CALLS for item in response.output) else "stop"
