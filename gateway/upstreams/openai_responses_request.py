"""The internal form as a request of OpenAI's Responses protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway import form as f
from gateway.asked import MOST_SEARCHES, Attempt
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_responses_wire import server_of
from gateway.upstreams.tools import Offer, offer
from gateway.upstreams.wire_names import bounded, plain

# The protocol's name in ``form.Thinking.origin`` and ``form.Foreign.origin``.
PROTOCOL = "responses"
# OpenAI refuses to be bounded closer.
LEAST_OUTPUT = 16
_MAX_CALL_ID = 64
# Budgets of other protocols, as the efforts that come near.
_EFFORTS: tuple[tuple[int, f.Effort], ...] = ((0, "minimal"), (4_096, "low"), (16_384, "medium"))
_SAMPLING = ("temperature", "top_p")
_PASSED = ("top_logprobs", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
# What only tunes, and has no name in this protocol.
_UNKNOWN = (
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "logit_bias",
    "metadata",
)


class Request:
    """One request in the making: ``body`` is what is sent, ``dropped`` what was left out."""

    def __init__(self, form: f.Form, attempt: Attempt) -> None:
        self._form = form
        self._attempt = attempt
        self._model = attempt.model
        self._server = server_of(attempt.route.channel)
        self.dropped: list[str] = []
        self.body: dict[str, Any] = {"model": attempt.route.upstream_model, "store": False}
        self._refuse()
        self._write_messages()
        self._write_tools()
        self._write_text()
        self._write_reasoning()
        self._write_tuning()

    def _refuse(self) -> None:
        if self._form.choices > 1:
            raise CannotExpress("choices", "This model gives one answer at a time.")
        if self._form.stop:
            raise CannotExpress("stop", "This model knows no stop sequences.")

    def _write_messages(self) -> None:
        turns = self._form.messages
        first = turns[0] if turns else None
        # Instructions alone are no input.
        if (
            first is not None
            and len(turns) > 1
            and first.role == "system"
            and all(isinstance(part, f.Text) for part in first.parts)
        ):
            texts = [part.text for part in first.parts if isinstance(part, f.Text)]
            self.body["instructions"] = "\n\n".join(texts)
            turns = turns[1:]
        writer = _Items(keeps_plain_thoughts=not self._server.looks_up_thoughts)
        for turn in turns:
            writer.add(turn)
        self.body["input"] = writer.items
        self.dropped += writer.dropped

    def _write_tools(self) -> None:
        form = self._form
        offered = offer(
            form,
            self._model.capabilities,
            protocol=PROTOCOL,
            has_search=True,
            has_custom=self._server.has_custom_tools,
        )
        self.dropped += offered.dropped
        if not offered.tools:
            return
        self.body["tools"] = list(_tools(offered.tools))
        self.body["tool_choice"] = _choice(offered)
        for name in ("parallel_tool_calls", "max_tool_calls"):
            if getattr(form, name) is not None:
                self.body[name] = getattr(form, name)
        searches = [tool.max_uses or MOST_SEARCHES for tool in offered.tools if isinstance(tool, f.WebSearch)]
        if searches and self._server.limits_searches:
            # No more than are held for.
            self.body.setdefault("max_tool_calls", sum(searches))

    def _write_text(self) -> None:
        text = _format_of(self._form.response_format)
        if self._form.verbosity:
            text["verbosity"] = self._form.verbosity
        if text:
            self.body["text"] = text

    def _write_reasoning(self) -> None:
        wanted = self._form.reasoning
        include: list[str] = []
        effort = _effort(wanted)
        if "reasoning" not in self._model.capabilities:
            if effort not in {None, "none"}:
                self.dropped.append("reasoning")
        else:
            include.append("reasoning.encrypted_content")
            if effort == "none" and "always_reasons" in self._model.traits:
                self.dropped.append("reasoning")
                effort = None
            summary = wanted.summary or ("auto" if wanted.is_enabled else "")
            said = {"effort": effort, "summary": summary or None}
            if effort or summary:
                self.body["reasoning"] = {key: value for key, value in said.items() if value}
        if self._form.logprobs:
            include.append("message.output_text.logprobs")
        if include:
            self.body["include"] = include

    def _write_tuning(self) -> None:
        form, attempt = self._form, self._attempt
        sampling = {name: getattr(form, name) for name in _SAMPLING if getattr(form, name) is not None}
        if "no_sampling" in self._model.traits:
            self.dropped += sampling
        else:
            self.body |= sampling
        self.body |= {name: getattr(form, name) for name in _PASSED if getattr(form, name)}
        if attempt.max_output is not None:
            self.body["max_output_tokens"] = max(LEAST_OUTPUT, attempt.max_output)
        if form.is_stream:
            self.body["stream"] = True
            if self._server.has_padding:
                self.body["stream_options"] = {"include_obfuscation": False}
        elif not self._server.streams_only_if_asked:
            self.body["stream"] = False
        self.dropped += [name for name in _UNKNOWN if getattr(form, name) not in (None, {})]


def _format_of(wanted: f.ResponseFormat) -> dict[str, Any]:
    if wanted.kind == "text":
        return {}
    if wanted.kind == "json_object":
        return {"format": {"type": "json_object"}}
    shape = {
        "name": wanted.name,
        "description": wanted.description or None,
        "schema": {} if wanted.schema is None else wanted.schema,
        "strict": wanted.strict,
    }
    given = {key: value for key, value in shape.items() if value is not None}
    return {"format": {"type": "json_schema", **given}}


def _effort(wanted: f.Reasoning) -> str | None:
    if wanted.effort is not None:
        return wanted.effort
    if wanted.is_enabled is False:
        return "none"
    if wanted.budget_tokens is None:
        return None
    return next((effort for most, effort in _EFFORTS if wanted.budget_tokens <= most), "high")


class _Items:
    """Writes turns as items."""

    def __init__(self, *, keeps_plain_thoughts: bool) -> None:
        self._keeps_plain_thoughts = keeps_plain_thoughts
        self.items: list[Any] = []
        self.dropped: list[str] = []
        # Parts of a message that neighbours, and the message they belong to.
        self._contents: list[dict[str, Any]] = []

    def add(self, turn: f.Message) -> None:
        """Write one turn."""
        role = "developer" if turn.role == "system" else turn.role
        phase = ""
        for part in turn.parts:
            item = self._item(part)
            if item is not None:
                self._close(role, phase)
                self.items.append(item)
                continue
            content = _content(part, is_answer=turn.role == "assistant")
            if content is None:
                self._leave_out(part)
                continue
            if isinstance(part, f.Text) and part.phase != phase:
                self._close(role, phase)
                phase = part.phase
            self._contents.append(content)
        self._close(role, phase)

    def _close(self, role: str, phase: str) -> None:
        if self._contents:
            message: dict[str, Any] = {"type": "message", "role": role, "content": self._contents}
            self.items.append(message | {"phase": phase} if phase else message)
            self._contents = []

    def _item(self, part: f.Part) -> Any:
        match part:
            case f.ToolCall():
                return _call(part)
            case f.ToolResult():
                return _result(part)
            case f.Thinking():
                return self._thought(part)
            case f.Foreign(origin="responses", raw=raw):
                return raw
            case _:
                return None

    def _thought(self, part: f.Thinking) -> Any:
        # Without its id: that would have to be followed by the ids of the other items, which not all clients keep.
        item: dict[str, Any] = {"type": "reasoning", "summary": []}
        if part.seal and part.origin == PROTOCOL:
            if part.text:
                item["summary"] = [{"type": "summary_text", "text": part.text}]
            return item | {"encrypted_content": part.seal}
        if part.text and not part.is_redacted and self._keeps_plain_thoughts:
            return item | {"content": [{"type": "reasoning_text", "text": part.text}]}
        return None

    def _leave_out(self, part: f.Part) -> None:
        # A thought without a seal that OpenAI can read would be refused; its absence is no loss of meaning.
        if isinstance(part, f.Foreign):
            self.dropped.append(f"messages.{part.kind}")


def _content(part: f.Part, *, is_answer: bool) -> dict[str, Any] | None:
    match part:
        case f.Text():
            if is_answer:
                return {"type": "output_text", "text": part.text, "annotations": []}
            return {"type": "input_text", "text": part.text}
        case f.Refusal():
            return {"type": "refusal", "refusal": part.text}
        case f.Image():
            return _image(part)
        case f.File():
            return _file(part)
        case f.Audio():
            raise CannotExpress("messages", "This model does not hear recordings through this endpoint.")
        case _:
            return None


def _image(part: f.Image) -> dict[str, Any]:
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}


def _file(part: f.File) -> dict[str, Any]:
    if part.text:
        title = f"{part.name}:\n" if part.name else ""
        return {"type": "input_text", "text": title + part.text}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    data = f"data:{part.media_type};base64,{part.data}"
    return {"type": "input_file", "filename": part.name or "document.pdf", "file_data": data}


def _call(part: f.ToolCall) -> dict[str, Any]:
    call: dict[str, Any] = {"call_id": bounded(part.id, _MAX_CALL_ID), "name": plain(part.name)}
    if part.namespace:
        call["namespace"] = part.namespace
    if part.is_custom:
        return {"type": "custom_tool_call", **call, "input": part.arguments}
    return {"type": "function_call", **call, "arguments": part.arguments or "{}"}


def _result(part: f.ToolResult) -> dict[str, Any]:
    kind = "custom_tool_call_output" if part.is_custom else "function_call_output"
    output: Any = [content for each in part.parts if (content := _content(each, is_answer=False))]
    if all(isinstance(each, f.Text) for each in part.parts):
        output = "\n".join(each.text for each in part.parts if isinstance(each, f.Text))
        if part.is_error and not output.startswith("Error"):
            output = f"Error: {output}"
    return {"type": kind, "call_id": bounded(part.call_id, _MAX_CALL_ID), "output": output}


def _tools(tools: Iterable[f.Tool]) -> Iterable[Any]:
    groups: dict[str, dict[str, Any]] = {}
    for tool in tools:
        written = _tool(tool)
        namespace = tool.namespace if isinstance(tool, f.FunctionTool | f.CustomTool) else ""
        if not namespace:
            yield written
        elif namespace in groups:
            groups[namespace]["tools"].append(written)
        else:
            groups[namespace] = {
                "type": "namespace",
                "name": namespace,
                "description": namespace,
                "tools": [written],
            }
    yield from groups.values()


def _tool(tool: f.Tool) -> Any:
    match tool:
        case f.FunctionTool():
            return {
                "type": "function",
                "name": plain(tool.name),
                "description": tool.description or None,
                "parameters": tool.parameters if tool.parameters is not None else _NO_PARAMETERS,
                # Without a word OpenAI would bend the schema into its strict subset.
                "strict": bool(tool.strict),
            }
        case f.CustomTool():
            custom: dict[str, Any] = {"type": "custom", "name": plain(tool.name)}
            if tool.description:
                custom["description"] = tool.description
            return custom | ({"format": _format(tool.format)} if tool.format is not None else {})
        case f.WebSearch():
            return _search(tool)
        case f.ForeignTool():
            return tool.raw


_NO_PARAMETERS = {"type": "object", "properties": {}}


def _format(raw: msgspec.Raw) -> Any:
    """Return a custom tool's format; chat completions nest a grammar one level deeper."""
    given = msgspec.json.decode(raw)
    grammar = given.get("grammar") if isinstance(given, dict) else None
    return {"type": "grammar", **grammar} if isinstance(grammar, dict) else given


def _search(tool: f.WebSearch) -> dict[str, Any]:
    search: dict[str, Any] = {"type": "web_search"}
    filters = {"allowed_domains": tool.allowed_domains, "blocked_domains": tool.blocked_domains}
    if any(filters.values()):
        search["filters"] = {key: value for key, value in filters.items() if value}
    if tool.context_size:
        search["search_context_size"] = tool.context_size
    if tool.location:
        search["user_location"] = {"type": "approximate", **tool.location}
    return search


def _choice(offered: Offer) -> Any:
    choice = offered.choice
    if not choice.names:
        return choice.mode
    named = [_named(name, offered.tools) for name in choice.names]
    if len(named) == 1 and choice.mode == "required":
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _named(name: str, tools: tuple[f.Tool, ...]) -> dict[str, str]:
    for tool in tools:
        if isinstance(tool, f.CustomTool) and tool.name == name:
            return {"type": "custom", "name": plain(name)}
        if isinstance(tool, f.WebSearch) and name == "web_search":
            return {"type": "web_search"}
        if isinstance(tool, f.ForeignTool) and tool.kind == name:
            return {"type": name}
    return {"type": "function", "name": plain(name)}
