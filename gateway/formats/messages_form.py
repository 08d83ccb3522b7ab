"""A message's body in the internal form; its shapes were checked when it was parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway import form as f
from gateway.errors import InvalidRequest
from gateway.formats import messages_body as b
from gateway.formats.messages_seals import ORIGIN, unwrap
from gateway.formats.strict_schemas import is_strict

_Shown = f.Text | f.Image | f.File
_RAW_TURNS = msgspec.json.Decoder(list[dict[str, Raw]])
_RAW_BLOCKS = msgspec.json.Decoder(list[Raw])


def form_of(body: b.MessagesRequest) -> f.Form:
    """Return the internal form of a body; raises ``InvalidRequest``."""
    choice = b.TOOL_CHOICE.decode(body.tool_choice) if body.tool_choice is not UNSET else None
    turns = b.TURNS.decode(body.messages)
    return f.Form(
        messages=_system(body.system) + _messages(turns, body.messages),
        tools=_tools(body.tools),
        tool_choice=_choice(choice),
        parallel_tool_calls=False if choice and choice.disable_parallel_tool_use else None,
        response_format=_response_format(body),
        reasoning=_reasoning(body),
        max_output=body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=body.stop_sequences or [],
        user=user_of(body.metadata),
        cache=_cache(b.CACHE_CONTROL.decode(body.cache_control) if body.cache_control is not UNSET else None),
        unsaid=_unsaid(body, turns),
        beyond=_beyond(body),
        is_stream=bool(body.stream),
    )


def _beyond(body: b.MessagesRequest) -> tuple[str, str] | None:
    """Return what only Anthropic's own models can do."""
    if body.mcp_servers is not UNSET and b"{" in bytes(body.mcp_servers):
        return "mcp_servers", "This model cannot reach MCP servers by itself."
    if body.compaction is not UNSET:
        return "compaction", "This model cannot compact a conversation."
    return None


def _unsaid(body: b.MessagesRequest, turns: list[b.Turn]) -> list[str]:
    said = {
        "context_management": body.context_management is not UNSET,
        "diagnostics": body.diagnostics is not UNSET,
        "output_config.task_budget": bool(_output_config(body).task_budget),
        "messages.output_config": any(turn.output_config is not UNSET for turn in turns),
        "messages.citations": any(_wants_citations(turn) for turn in turns),
    }
    return [name for name, is_said in said.items() if is_said]


def _wants_citations(turn: b.Turn) -> bool:
    blocks = turn.content if isinstance(turn.content, list) else []
    return any(
        block.type in {"document", "search_result"} and b"true" in bytes(block.citations)
        for block in blocks
        if isinstance(block.citations, Raw)
    )


def _system(raw: Raw | UnsetType) -> list[f.Message]:
    if raw is UNSET:
        return []
    content = b.CONTENT.decode(raw)
    if isinstance(content, str):
        return [f.Message("system", [f.Text(content)])] if content else []
    parts: list[f.Part] = [
        f.Text(str(each.text), _cache(each.cache_control)) for each in content if each.text
    ]
    return [f.Message("system", parts)] if parts else []


def _messages(turns: list[b.Turn], raw: Raw) -> list[f.Message]:
    messages: list[f.Message] = []
    for turn, raw_turn in zip(turns, _RAW_TURNS.decode(raw), strict=True):
        if not isinstance(turn.content, list):
            messages += [f.Message(turn.role, [f.Text(turn.content)])] if turn.content is not UNSET else []
            continue
        parts: list[f.Part] = []
        for block, raw_block in zip(turn.content, _RAW_BLOCKS.decode(raw_turn["content"]), strict=True):
            _add(parts, block, raw_block)
        _seal_calls(parts)
        messages.append(f.Message(turn.role, parts))
    return messages


def _add(parts: list[f.Part], block: b.Block, raw: Raw) -> None:
    if block.type == "redacted_thinking":
        seal = unwrap(str(block.data))
        parts.append(f.Thinking("", seal.seal, is_redacted=True, origin=seal.origin, id=seal.id))
    elif block.type == "thinking":
        _add_thinking(parts, block)
    else:
        parts += _parts(block, raw)


def _add_thinking(parts: list[f.Part], block: b.Block) -> None:
    seal = unwrap(str(block.signature))
    last = parts[-1] if parts else None
    if seal.is_of_text and isinstance(last, f.Text):
        last.signature = seal.seal
    elif seal.is_of_text:
        parts.append(f.Text("", signature=seal.seal))
    else:
        # One that belongs to a call stands before it, and is found again by the call's id.
        parts.append(
            f.Thinking(str(block.thinking), seal.seal, origin=seal.origin, id=seal.call_id or seal.id)
        )


def _seal_calls(parts: list[f.Part]) -> None:
    """Give the calls their seals back, and drop the thoughts that carried nothing else."""
    calls = {part.id: part for part in parts if isinstance(part, f.ToolCall)}
    for part in [each for each in parts if isinstance(each, f.Thinking) and each.id in calls]:
        calls[part.id].seal = part.seal
        if part.text:
            part.seal, part.origin, part.id = "", "", ""
        else:
            parts.remove(part)


def _parts(block: b.Block, raw: Raw) -> Sequence[f.Part]:
    match block.type:
        case "tool_use":
            arguments = msgspec.json.encode(block.input).decode()
            cache = _cache(block.cache_control)
            return [f.ToolCall(str(block.id), str(block.name), arguments, cache=cache)]
        case "tool_result":
            return [_result(block)]
        case _:
            return _shown(block) or [f.Foreign(ORIGIN, block.type, raw)]


def _shown(block: b.Block) -> list[_Shown]:
    """Return what may stand in a result as well as in a turn."""
    cache = _cache(block.cache_control)
    match block.type:
        case "text":
            return [f.Text(str(block.text), cache)]
        case "image":
            return [_image(block)]
        case "document":
            context: list[_Shown] = [f.Text(block.context)] if block.context else []
            return context + _document(block, cache)
        case "search_result":
            text = f"Source: {block.source}\n\n{_texts(block.content)}"
            return [f.File(text=text, name=block.title or "", cache=cache)]
        case "compaction" if summary := _texts(block.content):
            # All that is left of the turns before it.
            return [f.Text(f"Summary of the conversation so far:\n\n{summary}", cache)]
        case _:
            return []


def _image(block: b.Block) -> f.Image:
    source = block.source
    assert isinstance(source, b.Source)
    return f.Image(source.url, source.data, source.media_type, cache=_cache(block.cache_control))


def _document(block: b.Block, cache: f.CacheTtl) -> list[_Shown]:
    source, name = block.source, block.title or ""
    assert isinstance(source, b.Source)
    if source.type == "text":
        return [f.File(text=source.data, media_type="text/plain", name=name, cache=cache)]
    if source.type == "content":
        text = f.File(text=_texts(source.content), media_type="text/plain", name=name, cache=cache)
        return [text, *_pictures(source.content)]
    media_type = source.media_type or "application/pdf"
    return [f.File(source.url, source.data, media_type, name=name, cache=cache)]


def _pictures(raw: Raw) -> list[f.Image]:
    content = b.CONTENT.decode(raw)
    return [_image(each) for each in content if each.type == "image"] if isinstance(content, list) else []


def _texts(raw: Raw | UnsetType) -> str:
    """Return the text of a string or of blocks, as far as there is any."""
    try:
        content = b.CONTENT.decode(raw) if isinstance(raw, Raw) else ""
    except msgspec.DecodeError:
        return ""
    return content if isinstance(content, str) else "\n".join(str(each.text) for each in content if each.text)


def _result(block: b.Block) -> f.ToolResult:
    parts: list[f.Text | f.Image | f.File] = []
    if isinstance(block.content, Raw):
        content = b.CONTENT.decode(block.content)
        if isinstance(content, str):
            parts = [f.Text(content)]
        else:
            parts = [part for each in content for part in _shown(each)]
    return f.ToolResult(
        str(block.tool_use_id), parts, is_error=bool(block.is_error), cache=_cache(block.cache_control)
    )


def _cache(control: b.CacheControl | None) -> f.CacheTtl:
    if control is None:
        return ""
    return control.ttl or "5m"


def _tools(raw: Raw | UnsetType) -> list[f.Tool]:
    if raw is UNSET:
        return []
    tools = zip(b.TOOLS.decode(raw), _RAW_BLOCKS.decode(raw), strict=True)
    return [_tool(tool, raw_tool) for tool, raw_tool in tools]


def _tool(tool: b.Tool, raw: Raw) -> f.Tool:
    if tool.is_function:
        cache = _cache(tool.cache_control)
        strict = is_strict(tool.input_schema) if tool.strict else tool.strict
        return f.FunctionTool(tool.name, tool.description or "", tool.input_schema, strict, cache)
    if tool.is_search:
        location = {
            name: value for name, value in (tool.user_location or {}).items() if value and name != "type"
        }
        return f.WebSearch(
            tool.allowed_domains or [], tool.blocked_domains or [], tool.max_uses, location=location
        )
    return f.ForeignTool(ORIGIN, str(tool.type), raw)


def _choice(choice: b.ToolChoice | None) -> f.ToolChoice:
    if choice is None:
        return f.ToolChoice()
    if choice.type == "tool":
        if not choice.name:
            raise InvalidRequest("'tool_choice' must name a tool.", param="tool_choice.name")
        return f.ToolChoice("required", [choice.name])
    modes: dict[str, Any] = {"any": "required", "auto": "auto", "none": "none"}
    return f.ToolChoice(modes[choice.type])


def _output_config(body: b.MessagesRequest) -> b.OutputConfig:
    return b.OUTPUT_CONFIG.decode(body.output_config) if body.output_config is not UNSET else b.OutputConfig()


def _response_format(body: b.MessagesRequest) -> f.ResponseFormat:
    wanted = _output_config(body).format
    if wanted is None and body.output_format is not UNSET:
        wanted = b.OUTPUT_FORMAT.decode(body.output_format)
    return (
        f.ResponseFormat("json_schema", "answer", wanted.schema, strict=is_strict(wanted.schema))
        if wanted
        else f.ResponseFormat()
    )


def _reasoning(body: b.MessagesRequest) -> f.Reasoning:
    asked = f.Reasoning(effort=_output_config(body).effort, wants_seal=True)
    if body.thinking is not UNSET:
        thinking = b.THINKING.decode(body.thinking)
        asked.is_enabled = thinking.type != "disabled"
        asked.budget_tokens = thinking.budget_tokens
        asked.summary = "auto" if thinking.display == "summarized" else ""
    return asked


def user_of(raw: Raw | UnsetType) -> str:
    """Return what a request's metadata calls the person who asks; agents put their session there."""
    return (b.METADATA.decode(raw).user_id or "") if raw is not UNSET else ""
