"""The items of a Responses input: read strictly where they are understood, kept as written where only OpenAI can.

An item is read twice: its kind first, then all of it by its kind. What an item means is not decided here but in
``responses_form``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from gateway.errors import InvalidRequest
from gateway.formats.reading import read
from gateway.formats.responses_ids import response_of


class Breakpoint(msgspec.Struct):
    """The end of a prefix that is to be cached."""

    mode: str = "explicit"
    ttl: Literal["30m", "12h"] = "30m"


class TextContent(msgspec.Struct, tag_field="type", tag="input_text"):
    """Text of the caller."""

    text: str
    prompt_cache_breakpoint: Breakpoint | None = None


class ImageContent(msgspec.Struct, tag_field="type", tag="input_image"):
    """A picture of the caller."""

    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class FileContent(msgspec.Struct, tag_field="type", tag="input_file"):
    """A document of the caller."""

    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Recording(msgspec.Struct):
    """Sound in base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioContent(msgspec.Struct, tag_field="type", tag="input_audio"):
    """A recording of the caller."""

    input_audio: Recording


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    """Text of the model."""

    text: str


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    """A refusal of the model."""

    refusal: str


Content = TextContent | ImageContent | FileContent | AudioContent | OutputText | OutputRefusal
ResultContent = TextContent | ImageContent | FileContent


class MessageItem(msgspec.Struct):
    """A message of either side."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Content]
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(msgspec.Struct):
    """An earlier call of a function."""

    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class CustomCall(msgspec.Struct):
    """An earlier call of a custom tool."""

    call_id: str
    name: str
    input: str
    namespace: str | None = None


class CallOutput(msgspec.Struct):
    """What a call gave, of a function or custom tool."""

    call_id: str
    output: str | list[ResultContent]


class CustomOutput(CallOutput):
    """What a custom tool's call gave."""


class Paragraph(msgspec.Struct):
    """A part of a thought or of its summary."""

    text: str


class Reasoning(msgspec.Struct):
    """An earlier thought."""

    summary: list[Paragraph] = []
    content: list[Paragraph] | None = None
    encrypted_content: str | None = None
    id: str | None = None


class Reference(msgspec.Struct):
    """An item of a stored response, named by its id alone."""

    id: str


class ForeignItem(msgspec.Struct):
    """An item that only OpenAI's own protocol understands."""

    kind: str
    raw: Raw


Item = (
    MessageItem | FunctionCall | CustomCall | CallOutput | CustomOutput | Reasoning | Reference | ForeignItem
)


class _Head(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None


_HEAD = msgspec.json.Decoder(_Head)
_MESSAGE = msgspec.json.Decoder(MessageItem)
_KINDS: dict[str, msgspec.json.Decoder[Any]] = {
    "message": _MESSAGE,
    "function_call": msgspec.json.Decoder(FunctionCall),
    "function_call_output": msgspec.json.Decoder(CallOutput),
    "custom_tool_call": msgspec.json.Decoder(CustomCall),
    "custom_tool_call_output": msgspec.json.Decoder(CustomOutput),
    "reasoning": msgspec.json.Decoder(Reasoning),
}
# What a model's turn may hold beside these, and what the caller may answer.
FOREIGN_TURN = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_call",
        "tool_search_call",
        "tool_search_output",
        "program",
    }
)
FOREIGN_REPLY = frozenset(
    {
        # What it stands for cannot be done without, so that other protocols must refuse it like an answer.
        "compaction",
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "mcp_approval_response",
        "program_output",
    }
)
_INPUT: msgspec.json.Decoder[str | list[Raw]] = msgspec.json.Decoder(
    str | Annotated[list[Raw], Meta(max_length=10_000)]
)


def read_items(raw: Raw) -> list[Item]:
    """Read an input, text or items; raises ``InvalidRequest`` that names the place."""
    given = read(_INPUT, raw, "input")
    if isinstance(given, str):
        return [MessageItem("user", given)]
    return [read_item(item, f"input[{place}]") for place, item in enumerate(given)]


def split_items(raw: Raw) -> list[Raw]:
    """Return the items of an input that was read before, each as it was written."""
    given = _INPUT.decode(raw)
    if isinstance(given, str):
        return [Raw(msgspec.json.encode({"type": "message", "role": "user", "content": given}))]
    return given


def contents_of(item: Item) -> Sequence[Content]:
    """Return the parts of a message or of a call's output."""
    if isinstance(item, MessageItem) and isinstance(item.content, list):
        return item.content
    if isinstance(item, CallOutput) and isinstance(item.output, list):
        return item.output
    return ()


def read_item(raw: Raw, place: str) -> Item:
    """Read one item that stands at ``place``; raises ``InvalidRequest``."""
    head = read(_HEAD, raw, place)
    kind = head.type or ("message" if head.role else "item_reference")
    decoder = _KINDS.get(kind)
    if decoder is not None:
        item: Item = read(decoder, raw, place)
        _refuse_kept_files(item, place)
        return item
    if kind in FOREIGN_TURN or kind in FOREIGN_REPLY:
        return ForeignItem(kind, raw)
    if kind == "item_reference":
        if response_of(head.id or "") is None:
            raise unknown_item(head.id or "", place)
        return Reference(head.id or "")
    raise InvalidRequest(f"Items of the type '{kind}' are not understood here.", param=f"{place}.type")


def unknown_item(name: str, place: str) -> InvalidRequest:
    """Return the refusal for a reference to an item that is not stored."""
    return InvalidRequest(
        f"No item with id '{name[:100]}' is stored. Send the item itself, or let responses be stored.",
        param=place,
    )


def _refuse_kept_files(item: Item, place: str) -> None:
    # An id would name a file in our own account at a provider.
    for index, part in enumerate(contents_of(item)):
        if isinstance(part, ImageContent | FileContent) and part.file_id:
            field = "content" if isinstance(item, MessageItem) else "output"
            raise InvalidRequest(
                "Files are not kept here: send the file itself, as a URL or as data.",
                param=f"{place}.{field}[{index}].file_id",
            )
