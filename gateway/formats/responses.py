"""Responses as a client's format."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw

from catalog.pricing import Usage
from gateway import form as f
from gateway.asked import MOST_SEARCHES, NO_UNITS, Attempt, Prompt
from gateway.events import Result
from gateway.formats import responses_items as i
from gateway.formats.addresses import refuse_private
from gateway.formats.chat_body import PICTURES_AS_THEY_ARE
from gateway.formats.documents import packed_bytes
from gateway.formats.manners import OpenAiManners
from gateway.formats.recordings import is_dense
from gateway.formats.responses_body import ResponsesRequest, read_body
from gateway.formats.responses_form import form_of
from gateway.formats.responses_tools import Namespaces, read_choice, read_tools
from gateway.formats.responses_writer import ResponsesWriter, render
from gateway.wishes import take

# Where the form's names differ from this format's own.
_PARAMS = {
    "messages": "input",
    "max_output": "max_output_tokens",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "logprobs": "top_logprobs",
    "web_search": "tools",
}


class ResponsesAsked:
    """A response that was asked; see ``Asked``."""

    __slots__ = ("_form", "_items", "body", "namespaces", "prompt", "tools", "wishes")

    def __init__(self, body: ResponsesRequest) -> None:
        self.wishes = take(body)
        self.body = body
        self._items = i.read_items(body.input)
        # Under their own names; what the offered ones stand for.
        self.tools = [_bounded(tool, body.max_tool_calls) for tool in read_tools(body.tools)]
        self.namespaces = Namespaces(self.tools)
        self._form: f.Form | None = None
        choice = read_choice(body.tool_choice, self.namespaces)
        self.prompt = _weigh(body, self._items, self.tools, choice)

    @property
    def model(self) -> str:
        """See ``Asked``."""
        return self.body.model

    @property
    def is_stream(self) -> bool:
        """See ``Asked``."""
        return bool(self.body.stream)

    @property
    def choices(self) -> int:
        """See ``Asked``."""
        return 1

    @property
    def explicit_max(self) -> int | None:
        """See ``Asked``."""
        return self.body.max_output_tokens

    @property
    def most_units(self) -> Usage:
        """See ``Asked``."""
        if not any(isinstance(tool, f.WebSearch) for tool in self.tools):
            return NO_UNITS
        return msgspec.structs.replace(NO_UNITS, searches=self.body.max_tool_calls or MOST_SEARCHES)

    def prepend(self, items: list[Raw]) -> None:
        """Put earlier items before the input: what came before it in the conversation."""
        self._become([*items, *i.split_items(self.body.input)])

    @property
    def references(self) -> list[str]:
        """Return the ids by which items of stored responses are named."""
        return [item.id for item in self._items if isinstance(item, i.Reference)]

    def insert(self, found: Mapping[str, Raw]) -> None:
        """Put items where they are named by their ids; raises ``InvalidRequest`` for one that was not found."""
        given = i.split_items(self.body.input)
        for place, item in enumerate(self._items):
            if isinstance(item, i.Reference):
                if item.id not in found:
                    raise i.unknown_item(item.id, f"input[{place}]")
                given[place] = found[item.id]
        self._become(given)

    def _become(self, given: list[Raw]) -> None:
        self.body = msgspec.structs.replace(self.body, input=Raw(b"[" + b",".join(map(bytes, given)) + b"]"))
        self._items = i.read_items(self.body.input)
        self._form = None
        choice = read_choice(self.body.tool_choice, self.namespaces)
        self.prompt = _weigh(self.body, self._items, self.tools, choice)

    @property
    def session(self) -> str:
        """See ``Session``."""
        return self.body.prompt_cache_key or ""

    def form(self) -> f.Form:
        """See ``Asked``."""
        if self._form is None:
            self._form = form_of(self.body, self._items, self.tools, self.namespaces)
        return self._form


class Responses(OpenAiManners):
    """The format of ``/v1/responses``."""

    name = "responses"
    kind = "chat"
    params = _PARAMS

    def parse(self, body: bytes, headers: Mapping[str, str]) -> ResponsesAsked:
        """See ``Format.parse``."""
        return ResponsesAsked(read_body(body))

    def render(self, result: Result, usage: Usage, attempt: Attempt) -> bytes:
        """See ``TextFormat.render``."""
        return render(result, usage, attempt)

    def writer(self, attempt: Attempt) -> ResponsesWriter:
        """See ``TextFormat.writer``."""
        return ResponsesWriter(attempt)


def _bounded(tool: f.Tool, most: int | None) -> f.Tool:
    return msgspec.structs.replace(tool, max_uses=most) if isinstance(tool, f.WebSearch) else tool


def _weigh(body: ResponsesRequest, items: list[i.Item], tools: list[f.Tool], choice: f.ToolChoice) -> Prompt:
    size = len(bytes(body.input)) + len((body.instructions or "").encode("utf-8", "surrogatepass"))
    size += len(bytes(body.tools)) if body.tools is not UNSET else 0
    size += len(bytes(body.text.format)) if body.text and body.text.format is not UNSET else 0
    images = audios = files = audio_bytes = document_bytes = fetches = 0
    for item in items:
        for part in i.contents_of(item):
            if isinstance(part, i.ImageContent):
                refuse_private(part.image_url or "data:", "input.image_url")
                images += PICTURES_AS_THEY_ARE if part.detail == "original" else 1
                size -= len(part.image_url or "")
            elif isinstance(part, i.AudioContent):
                audios += 1
                audio_bytes += len(part.input_audio.data)
                fetches += is_dense(part.input_audio.data, part.input_audio.format)
            elif isinstance(part, i.FileContent):
                refuse_private(part.file_url or "data:", "input.file_url")
                files += 1
                document_bytes += packed_bytes(part.file_data or "")
    return Prompt(
        text_bytes=max(0, size - audio_bytes),
        images=images,
        audios=audios,
        files=files,
        audio_bytes=audio_bytes,
        document_bytes=document_bytes,
        has_tools=any(isinstance(tool, f.FunctionTool | f.CustomTool) for tool in tools),
        has_search=_needs_search(tools, choice),
        # A compaction reads all of it once more.
        fetches=fetches + bool(body.context_management),
    )


def _needs_search(tools: list[f.Tool], choice: f.ToolChoice) -> bool:
    """Tell whether the answer depends on a search; coding agents offer one in passing."""
    if not any(isinstance(tool, f.WebSearch) for tool in tools) or choice.mode == "none":
        return False
    return all(isinstance(tool, f.WebSearch) for tool in tools) or (
        choice.mode == "required" and choice.names == ["web_search"]
    )
