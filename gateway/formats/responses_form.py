"""A Responses body in the internal form.

What one turn of the model holds lies in several items; here they become one message again. Tool results stand in user
turns.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw

from gateway import form as f
from gateway.errors import InvalidRequest
from gateway.formats import responses_items as i
from gateway.formats.chat_form import split_data_url
from gateway.formats.responses_body import LOGPROBS, SEALS, ReasoningOptions, ResponsesRequest
from gateway.formats.responses_seals import unwrap
from gateway.formats.responses_tools import Namespaces, offered_tools, read_choice

# Only notes that a search was made: what it found stands in the answer, and other protocols could not read the note.
_SEARCH = "web_search_call"


class _Format(msgspec.Struct):
    type: str
    name: str = ""
    schema: Raw = Raw(b"null")
    description: str | None = None
    strict: bool | None = None


_FORMAT = msgspec.json.Decoder(_Format)


def form_of(
    body: ResponsesRequest, items: list[i.Item], tools: list[f.Tool], namespaces: Namespaces
) -> f.Form:
    """Return the internal form of a body whose items and tools were read; raises ``InvalidRequest``."""
    text, reasoning = body.text, body.reasoning or ReasoningOptions()
    return f.Form(
        messages=_Turns(namespaces).of(body.instructions, items),
        tools=offered_tools(tools, namespaces),
        tool_choice=read_choice(body.tool_choice, namespaces),
        parallel_tool_calls=body.parallel_tool_calls,
        max_tool_calls=body.max_tool_calls,
        response_format=_response_format(body),
        reasoning=f.Reasoning(
            effort=reasoning.effort,
            is_enabled=False if reasoning.effort == "none" else None,
            summary=reasoning.summary or reasoning.generate_summary or "",
            wants_seal=body.includes(SEALS),
        ),
        max_output=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        logprobs=body.includes(LOGPROBS) or bool(body.top_logprobs),
        top_logprobs=body.top_logprobs,
        verbosity=(text and text.verbosity) or "",
        user=body.user or "",
        safety_identifier=body.safety_identifier or "",
        prompt_cache_key=body.prompt_cache_key or "",
        prompt_cache_retention=body.prompt_cache_retention or "",
        metadata=dict(body.metadata or {}),
        unsaid=_unsaid(body),
        is_stream=bool(body.stream),
    )


def _unsaid(body: ResponsesRequest) -> list[str]:
    reasoning = body.reasoning or ReasoningOptions()
    said = {
        "context_management": body.context_management,
        "image": body.image,
        "prompt_cache_options": body.prompt_cache_options,
        "reasoning.context": reasoning.context,
        "reasoning.mode": reasoning.mode,
        "truncation": body.truncation == "auto",
    }
    return [name for name, value in said.items() if value]


class _Turns:
    """Collects items into turns."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._turns: list[f.Message] = []
        # Seals that came before the tool call that they belong to.
        self._seals: dict[str, str] = {}

    def of(self, instructions: str | None, items: list[i.Item]) -> list[f.Message]:
        """Return the turns."""
        if instructions:
            self._turns.append(f.Message("system", [f.Text(instructions)]))
        for place, item in enumerate(items):
            self._take(item, f"input[{place}]")
        return self._turns

    def _take(self, item: i.Item, place: str) -> None:
        match item:
            case i.MessageItem():
                self._take_message(item, place)
            case i.Reasoning():
                self._take_reasoning(item)
            case i.FunctionCall() | i.CustomCall():
                self._answer().append(self._call(item))
            case i.CallOutput():
                self._results().append(_result(item, place))
            case i.ForeignItem(kind=kind, raw=raw) if kind != _SEARCH:
                parts = self._answer() if kind in i.FOREIGN_TURN else self._results()
                parts.append(f.Foreign("responses", kind, raw))

    def _take_message(self, item: i.MessageItem, place: str) -> None:
        parts = _parts(item, f"{place}.content")
        if item.role != "assistant":
            role = "user" if item.role == "user" else "system"
            self._turns.append(f.Message(role, parts))  # type: ignore[arg-type]
        elif self._turns and self._turns[-1].role == "assistant" and not _ends_in_text(self._turns[-1]):
            self._turns[-1].parts += parts
        else:
            self._turns.append(f.Message("assistant", parts))

    def _take_reasoning(self, item: i.Reasoning) -> None:
        text = "\n\n".join([paragraph.text for paragraph in item.content or item.summary])
        if not item.encrypted_content:
            self._answer().append(f.Thinking(text, id=item.id or ""))
            return
        seal = unwrap(item.encrypted_content)
        if seal.call_id:
            self._seals[seal.call_id] = seal.seal
        elif seal.is_of_text:
            for part in self._answer()[-1:]:
                if isinstance(part, f.Text):
                    part.signature = seal.seal
        else:
            self._answer().append(f.Thinking(text, seal.seal, seal.is_redacted, seal.origin, item.id or ""))

    def _call(self, item: i.FunctionCall | i.CustomCall) -> f.ToolCall:
        is_custom = isinstance(item, i.CustomCall)
        namespace = item.namespace or ""
        return f.ToolCall(
            item.call_id,
            self._namespaces.offered(namespace, item.name),
            item.input if isinstance(item, i.CustomCall) else item.arguments,
            is_custom=is_custom,
            seal=self._seals.pop(item.call_id, ""),
            namespace=namespace,
        )

    def _answer(self) -> list[f.Part]:
        """Return the parts of the model's turn that is under way."""
        if not self._turns or self._turns[-1].role != "assistant":
            self._turns.append(f.Message("assistant", []))
        return self._turns[-1].parts

    def _results(self) -> list[f.Part]:
        """Return the parts of the turn that collects neighbouring results."""
        last = self._turns[-1] if self._turns else None
        if last is None or last.role != "user" or not isinstance(last.parts[-1], f.ToolResult | f.Foreign):
            self._turns.append(f.Message("user", []))
        return self._turns[-1].parts


def _ends_in_text(turn: f.Message) -> bool:
    # Two messages of the model in a row were two answers.
    return bool(turn.parts) and isinstance(turn.parts[-1], f.Text | f.Refusal)


def _result(item: i.CallOutput, place: str) -> f.ToolResult:
    parts: list[f.Text | f.Image | f.File]
    if isinstance(item.output, str):
        parts = [f.Text(item.output)]
    else:
        contents = [_content(part, f"{place}.output[{n}]") for n, part in enumerate(item.output)]
        parts = [part for part in contents if isinstance(part, f.Text | f.Image | f.File)]
    return f.ToolResult(item.call_id, parts, is_custom=isinstance(item, i.CustomOutput))


def _parts(item: i.MessageItem, place: str) -> list[f.Part]:
    if isinstance(item.content, str):
        return [f.Text(item.content, phase=item.phase or "")]
    parts = [_content(part, f"{place}[{n}]") for n, part in enumerate(item.content)]
    for part in parts:
        if isinstance(part, f.Text):
            part.phase = item.phase or ""
    return parts or [f.Text("")]


def _content(part: i.Content, place: str) -> f.Part:
    match part:
        case i.TextContent():
            return f.Text(part.text, _cache(part.prompt_cache_breakpoint))
        case i.OutputText():
            return f.Text(part.text)
        case i.OutputRefusal():
            return f.Refusal(part.refusal)
        case i.AudioContent():
            return f.Audio(part.input_audio.data, part.input_audio.format)
        case i.ImageContent():
            return _image(part, place)
        case i.FileContent():
            return _file(part, place)


def _image(part: i.ImageContent, place: str) -> f.Image:
    url, detail, cache = part.image_url, part.detail or "", _cache(part.prompt_cache_breakpoint)
    if not url:
        raise InvalidRequest("A picture needs an 'image_url'.", param=f"{place}.image_url")
    if url.startswith("data:"):
        media_type, data = split_data_url(url, f"{place}.image_url")
        return f.Image(data=data, media_type=media_type, detail=detail, cache=cache)
    return f.Image(url=url, detail=detail, cache=cache)


def _file(part: i.FileContent, place: str) -> f.File:
    name, cache = part.filename or "", _cache(part.prompt_cache_breakpoint)
    if part.file_url:
        return f.File(url=part.file_url, name=name, cache=cache)
    if not part.file_data:
        raise InvalidRequest("A file needs 'file_data' or 'file_url'.", param=f"{place}.file_data")
    if part.file_data.startswith("data:"):
        media_type, data = split_data_url(part.file_data, f"{place}.file_data")
        return f.File(data=data, media_type=media_type, name=name, cache=cache)
    return f.File(data=part.file_data, media_type="application/pdf", name=name, cache=cache)


def _cache(mark: i.Breakpoint | None) -> f.CacheTtl:
    if mark is None:
        return ""
    return "1h" if mark.ttl == "12h" else "5m"


def _response_format(body: ResponsesRequest) -> f.ResponseFormat:
    if body.text is None or body.text.format is UNSET:
        return f.ResponseFormat()
    wanted = _FORMAT.decode(body.text.format)
    if wanted.type == "json_object":
        return f.ResponseFormat("json_object")
    if wanted.type != "json_schema":
        return f.ResponseFormat()
    return f.ResponseFormat(
        "json_schema", wanted.name, wanted.schema, wanted.description or "", wanted.strict
    )
