"""Messages and tools of the internal form as chat completions write them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from catalog.snapshot import Model
from gateway import form as f
from gateway.upstreams import tools
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_chat_dialect import Dialect
from gateway.upstreams.wire_names import bounded, wire_name

# OpenAI takes no longer ids; no server needs longer ones.
MAX_CALL_ID = 40


def _results_first(messages: list[f.Message]) -> Iterator[f.Message]:
    """Yield the turns, those with results right behind the calls: elsewhere a user may speak while a tool runs."""
    between: list[f.Message] = []
    for message in messages:
        if message.role == "assistant":
            yield from between
            between = []
        elif between and any(isinstance(part, f.ToolResult) for part in message.parts):
            yield f.Message("user", [part for part in message.parts if isinstance(part, f.ToolResult)])
            others: list[f.Part] = [part for part in message.parts if not isinstance(part, f.ToolResult)]
            between += [f.Message(message.role, others, message.name)] if others else []
            continue
        elif not any(isinstance(part, f.ToolResult) for part in message.parts):
            between.append(message)
            continue
        yield message
    yield from between


class MessagesWriter:
    """Writes the messages of one request in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._messages: list[dict[str, Any]] = []
        self.dropped: set[str] = set()

    def write(self, messages: list[f.Message]) -> list[dict[str, Any]]:
        """Return all messages; raises ``CannotExpress``."""
        for message in _results_first(messages):
            if message.role == "assistant":
                self._messages.append(self._assistant(message))
            else:
                self._turn(message)
        if self._dialect.prefix_field and messages and messages[-1].role == "assistant":
            self._messages[-1][self._dialect.prefix_field] = True
        return self._messages

    def _turn(self, message: f.Message) -> None:
        results = [part for part in message.parts if isinstance(part, f.ToolResult)]
        others = [part for part in message.parts if not isinstance(part, f.ToolResult)]
        # A tool's message takes only text: what else a tool gave follows in the user's own words.
        shown: list[f.Part] = []
        for result in results:
            self._messages.append(self._result(result))
            shown += [part for part in result.parts if not isinstance(part, f.Text)]
        if shown or others or not results:
            content = self._content([*shown, *others])
            named = {"name": message.name} if message.name and self._dialect.has_names else {}
            self._messages.append({"role": message.role, "content": content} | named)

    def _result(self, result: f.ToolResult) -> dict[str, Any]:
        texts = [part for part in result.parts if isinstance(part, f.Text)]
        content: Any = self._content(texts)
        if result.is_error and isinstance(content, str) and not content.startswith("Error"):
            content = f"Error: {content}"
        if not texts and result.parts:
            content = "The result is shown in the next message."
        return {"role": "tool", "tool_call_id": self._call_id(result.call_id), "content": content}

    def _assistant(self, message: f.Message) -> dict[str, Any]:
        said = [part for part in message.parts if isinstance(part, f.Text | f.Refusal)]
        calls = [part for part in message.parts if isinstance(part, f.ToolCall)]
        for part in message.parts:
            if isinstance(part, f.Foreign):
                self.dropped.add(f"messages.{part.kind}")
            elif not isinstance(part, f.Text | f.Refusal | f.ToolCall | f.Thinking):
                raise CannotExpress(
                    "messages", "An assistant's message holds a part that this model cannot read."
                )
        refusals = (
            [part.text for part in said if isinstance(part, f.Refusal)] if self._dialect.has_refusals else []
        )
        texts = [part.text for part in said if isinstance(part, f.Text) or not self._dialect.has_refusals]
        written: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
        if message.name and self._dialect.has_names:
            written["name"] = message.name
        if refusals:
            written["refusal"] = "".join(refusals)
        elif not calls and not texts:
            written["content"] = ""
        if calls:
            written["tool_calls"] = [self._call(call) for call in calls]
        return written | self._thoughts(message, has_calls=bool(calls))

    def _thoughts(self, message: f.Message, *, has_calls: bool) -> dict[str, Any]:
        field = self._dialect.thoughts_field
        thoughts = [part for part in message.parts if isinstance(part, f.Thinking)]
        if field == "reasoning_details":
            details = [_detail(part) for part in thoughts if part.origin == "openrouter"]
            return {field: details} if details else {}
        text = "\n\n".join(part.text for part in thoughts if part.text)
        if field and text:
            return {field: text}
        # Without its earlier thoughts such a server refuses the turn; a blank is the least that it takes.
        return {field: " "} if self._dialect.needs_thoughts and has_calls else {}

    def _call(self, call: f.ToolCall) -> dict[str, Any]:
        call_id = self._call_id(call.id)
        if call.is_custom and self._dialect.has_custom_tools:
            return {"id": call_id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
        function = {
            "name": wire_name(call.name, call.namespace),
            "arguments": tools.wrapped(call) or "{}",
        }
        written: dict[str, Any] = {"id": call_id, "type": "function", "function": function}
        if call.seal and self._dialect.has_google_seals:
            written["extra_content"] = {"google": {"thought_signature": call.seal}}
        return written

    def _call_id(self, call_id: str) -> str:
        size = self._dialect.call_id_size
        if not size:
            return bounded(call_id, MAX_CALL_ID)
        if len(call_id) == size and call_id.isalnum() and call_id.isascii():
            return call_id
        return hashlib.blake2s(call_id.encode()).hexdigest()[:size]

    def _content(self, parts: Iterable[f.Part]) -> str | list[dict[str, Any]]:
        parts = list(parts)
        texts = [part.text for part in parts if isinstance(part, f.Text | f.Refusal)]
        is_marked = any(_is_marked(part) for part in parts)
        if is_marked and not self._dialect.has_cache_control:
            self.dropped.add("cache")
            is_marked = False
        if (
            len(texts) == len(parts)
            and not is_marked
            and (len(texts) < 2 or not self._dialect.has_text_parts)
        ):
            return "\n\n".join(texts)
        return [self._part(part) for part in parts]

    def _part(self, part: f.Part) -> dict[str, Any]:
        match part:
            case f.Text() | f.Refusal():
                written: dict[str, Any] = {"type": "text", "text": part.text}
            case f.Image():
                written = {"type": "image_url", "image_url": _image(part)}
            case f.Audio():
                written = {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
            case f.File():
                written = self._file(part)
            case _:
                raise CannotExpress("messages", "A message holds a part that this model cannot read.")
        if self._dialect.has_cache_control and _is_marked(part):
            written["cache_control"] = {"type": "ephemeral"}
        return written

    def _file(self, part: f.File) -> dict[str, Any]:
        if part.text:
            title = f"{part.name}:\n" if part.name else ""
            return {"type": "text", "text": title + part.text}
        if not self._dialect.has_files:
            raise CannotExpress("messages", "This model cannot read documents. Send their text instead.")
        if not part.data:
            raise CannotExpress("messages", "This model reads documents only as base64, not from a URL.")
        name = part.name or "document.pdf"
        return {
            "type": "file",
            "file": {"filename": name, "file_data": f"data:{part.media_type};base64,{part.data}"},
        }


def _is_marked(part: f.Part) -> bool:
    return isinstance(part, f.Text | f.Image | f.File) and bool(part.cache)


def _image(part: f.Image) -> dict[str, Any]:
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"url": url, "detail": part.detail} if part.detail else {"url": url}


def _detail(part: f.Thinking) -> dict[str, Any]:
    try:
        detail = msgspec.json.decode(part.seal, type=dict[str, Any])
    except msgspec.DecodeError:
        detail = {"type": "reasoning.text"}
    if part.text:
        detail["summary" if detail.get("type") == "reasoning.summary" else "text"] = part.text
    return detail


def write_tools(form: f.Form, dialect: Dialect, model: Model) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of a request that are about tools, and what was left out; raises ``CannotExpress``."""
    offer = tools.offer(
        form,
        model.capabilities,
        protocol="chat",
        has_search=bool(dialect.search_field),
        has_custom=dialect.has_custom_tools,
    )
    choice = offer.choice
    fields: dict[str, Any] = {}
    written: list[dict[str, Any]] = []
    # Where the choice cannot be restricted, only the tools that may be chosen are shown.
    is_cut = not dialect.has_allowed_tools and (len(choice.names) > 1 or choice.mode != "required")
    for tool in offer.tools:
        if isinstance(tool, f.WebSearch):
            fields |= _search(tool, dialect)
        elif isinstance(tool, f.FunctionTool | f.CustomTool) and not (
            is_cut and choice.names and tool.name not in choice.names
        ):
            written.append(_tool(tool, dialect))
    if written:
        fields["tools"] = written
        chosen = _choice(offer, is_cut=is_cut)
        if chosen != "auto":
            fields["tool_choice"] = chosen
    return fields, offer.dropped


def _tool(tool: f.FunctionTool | f.CustomTool, dialect: Dialect) -> dict[str, Any]:
    described: dict[str, Any] = {"name": wire_name(tool.name, tool.namespace)}
    if tool.description:
        described["description"] = tool.description
    if isinstance(tool, f.CustomTool):
        return {"type": "custom", "custom": described | _grammar(tool.format)}
    if tool.parameters is not None:
        described["parameters"] = tool.parameters
    if tool.strict is not None:
        described["strict"] = tool.strict
    written: dict[str, Any] = {"type": "function", "function": described}
    if tool.cache and dialect.has_cache_control:
        written["cache_control"] = {"type": "ephemeral"}
    return written


def _grammar(shape: Raw | None) -> dict[str, Any]:
    if shape is None:
        return {}
    given: dict[str, Any] = msgspec.json.decode(shape)
    if given.get("type") == "grammar":
        grammar = {key: value for key, value in given.items() if key != "type"}
        return {"format": {"type": "grammar", "grammar": grammar}}
    return {"format": given}


def _search(tool: f.WebSearch, dialect: Dialect) -> dict[str, Any]:
    if tool.allowed_domains or tool.blocked_domains:
        raise CannotExpress("web_search", "This model's provider cannot restrict a search to domains.")
    if dialect.search_field == "enable_search":
        return {"enable_search": True}
    options: dict[str, Any] = {}
    if tool.context_size:
        options["search_context_size"] = tool.context_size
    if tool.location:
        options["user_location"] = {"type": "approximate", "approximate": tool.location}
    return {"web_search_options": options}


def _choice(offer: tools.Offer, *, is_cut: bool) -> Any:
    choice = offer.choice
    if not choice.names or is_cut:
        return choice.mode
    named = [
        _named(tool)
        for tool in offer.tools
        if isinstance(tool, f.FunctionTool | f.CustomTool) and tool.name in choice.names
    ]
    if not named:
        return "auto"
    if len(named) == 1 and choice.mode == "required":
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _named(tool: f.FunctionTool | f.CustomTool) -> dict[str, Any]:
    if isinstance(tool, f.CustomTool):
        return {"type": "custom", "custom": {"name": tool.name}}
    return {"type": "function", "function": {"name": wire_name(tool.name, tool.namespace)}}
