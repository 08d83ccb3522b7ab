"""A chat completion's body in the internal form.

The shapes were checked when the body was parsed; here they are read again with all that other protocols can use:
``reasoning_content`` (DeepSeek), ``cache_control`` (Anthropic's, as OpenRouter and Qwen spell it; OpenAI's own word is
``prompt_cache_breakpoint``), and
``extra_content.google.thought_signature`` (Gemini's compatible endpoint).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from gateway import form as f
from gateway.errors import InvalidRequest
from gateway.formats.chat_body import ChatRequest, ReasoningOptions, SearchOptions
from gateway.formats.reading import read

# A union of ``Raw`` and ``None`` would take nothing but null.
_NULL = Raw(b"null")


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: dict[str, Any] = {}
    input_audio: dict[str, str] = {}
    file: dict[str, Any] = {}
    cache_control: dict[str, Any] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class _GoogleContent(msgspec.Struct):
    thought_signature: str = ""


class _ExtraContent(msgspec.Struct):
    google: _GoogleContent | None = None


class _Call(msgspec.Struct):
    id: str
    type: str
    function: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    extra_content: _ExtraContent | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: dict[str, str] | None = None
    tool_call_id: str = ""


class _FunctionSpec(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Raw = _NULL
    strict: bool | None = None


class _CustomSpec(msgspec.Struct):
    name: str
    description: str | None = None
    format: Raw = _NULL


class _Tool(msgspec.Struct):
    type: str
    function: _FunctionSpec | None = None
    custom: _CustomSpec | None = None
    cache_control: dict[str, Any] | None = None


class _Schema(msgspec.Struct):
    name: str
    schema: Raw = _NULL
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


_MESSAGES = msgspec.json.Decoder(list[_Message])
_TOOLS = msgspec.json.Decoder(list[_Tool])
_FUNCTIONS = msgspec.json.Decoder(list[_FunctionSpec])
_FORMAT = msgspec.json.Decoder(_Format)
_SEARCH = msgspec.json.Decoder(SearchOptions)


def form_of(body: ChatRequest) -> f.Form:
    """Return the internal form of a body; raises ``InvalidRequest`` for what chat allows but nothing can mean."""
    return f.Form(
        messages=_messages(read(_MESSAGES, body.messages, "messages")),
        tools=_tools(body),
        tool_choice=_choice(body),
        # An answer in the words of old has room for one call.
        parallel_tool_calls=False if body.is_legacy else body.parallel_tool_calls,
        response_format=_response_format(body.response_format),
        reasoning=reasoning_of(body),
        max_output=body.explicit_max,
        choices=body.n or 1,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        repetition_penalty=body.repetition_penalty,
        seed=body.seed,
        stop=[body.stop] if isinstance(body.stop, str) else body.stop or [],
        logprobs=bool(body.logprobs),
        top_logprobs=body.top_logprobs,
        logit_bias=body.logit_bias or {},
        verbosity=body.verbosity or "",
        user=body.user or "",
        safety_identifier=body.safety_identifier or "",
        prompt_cache_key=body.prompt_cache_key or "",
        prompt_cache_retention=body.prompt_cache_retention or "",
        metadata=dict(body.metadata or {}),
        vendor=_vendor(body),
        unsaid=[name for name in ("prediction", "prompt_cache_options") if getattr(body, name) is not UNSET],
        is_stream=bool(body.stream),
    )


def _messages(messages: list[_Message]) -> list[f.Message]:
    turns: list[f.Message] = []
    last_call = ""
    for place, message in enumerate(messages):
        match message.role:
            case "system" | "developer":
                turns.append(f.Message("system", _parts(message, place), message.name or ""))
            case "user":
                turns.append(f.Message("user", _parts(message, place), message.name or ""))
            case "assistant":
                turns.append(f.Message("assistant", _answer_parts(message, place), message.name or ""))
                last_call = f"function_{place}"
            case _:
                # The retired "function" role has no id: it answers the function_call before it.
                call_id = message.tool_call_id or last_call
                _result_turn(turns).append(f.ToolResult(call_id, _result_parts(message, place)))
    return turns


def _result_turn(turns: list[f.Message]) -> list[f.Part]:
    """Return the parts of the turn that collects neighbouring tool results."""
    if not turns or turns[-1].role != "user" or not isinstance(_last(turns[-1]), f.ToolResult):
        turns.append(f.Message("user", []))
    return turns[-1].parts


def _last(turn: f.Message) -> f.Part | None:
    return turn.parts[-1] if turn.parts else None


def _parts(message: _Message, place: int) -> list[f.Part]:
    if message.content is None or isinstance(message.content, str):
        return [f.Text(message.content or "")]
    return [_part(part, f"messages[{place}].content[{index}]") for index, part in enumerate(message.content)]


def _result_parts(message: _Message, place: int) -> list[f.Text | f.Image | f.File]:
    return [part for part in _parts(message, place) if isinstance(part, f.Text | f.Image | f.File)]


def _answer_parts(message: _Message, place: int) -> list[f.Part]:
    parts: list[f.Part] = []
    if thought := message.reasoning_content or message.reasoning:
        parts.append(f.Thinking(thought))
    if message.content:
        parts += _parts(message, place)
    if message.refusal:
        parts.append(f.Refusal(message.refusal))
    for call in message.tool_calls or ():
        # Some servers give their calls no ids, and clients send none back.
        parts.append(_call(call, call.id or f"function_{place}"))
    if message.function_call:
        called = message.function_call
        parts.append(f.ToolCall(f"function_{place}", called.get("name", ""), called.get("arguments", "")))
    return parts


def _call(call: _Call, call_id: str) -> f.ToolCall:
    if call.type == "custom":
        return f.ToolCall(call_id, call.custom.get("name", ""), call.custom.get("input", ""), is_custom=True)
    google = call.extra_content.google if call.extra_content else None
    seal = google.thought_signature if google else ""
    return f.ToolCall(call_id, call.function.get("name", ""), call.function.get("arguments") or "", seal=seal)


def _part(part: _Part, place: str) -> f.Part:
    cache = _cache(part.cache_control) or _marked(part.prompt_cache_breakpoint)
    match part.type:
        case "text":
            return f.Text(part.text, cache)
        case "refusal":
            return f.Refusal(part.refusal)
        case "image_url":
            return _image(part.image_url, cache, f"{place}.image_url.url")
        case "input_audio":
            return f.Audio(part.input_audio.get("data", ""), part.input_audio.get("format", ""))
        case _:
            return _file(part.file, cache, f"{place}.file")


def _image(image: dict[str, Any], cache: f.CacheTtl, place: str) -> f.Image:
    url, detail = str(image.get("url", "")), str(image.get("detail") or "")
    if url.startswith("data:"):
        media_type, data = split_data_url(url, place)
        return f.Image(data=data, media_type=media_type, detail=detail, cache=cache)
    return f.Image(url=url, detail=detail, cache=cache)


def _file(file: dict[str, Any], cache: f.CacheTtl, place: str) -> f.File:
    if file.get("file_id"):
        raise InvalidRequest(
            "Files are not kept here: send the file itself as 'file_data'.", param=f"{place}.file_id"
        )
    data, name = str(file.get("file_data") or ""), str(file.get("filename") or "")
    if data.startswith("data:"):
        media_type, data = split_data_url(data, f"{place}.file_data")
        return f.File(data=data, media_type=media_type, name=name, cache=cache)
    return f.File(data=data, media_type="application/pdf", name=name, cache=cache)


def split_data_url(url: str, place: str) -> tuple[str, str]:
    """Return media type and base64 of a ``data:`` URL; raises ``InvalidRequest``."""
    head, comma, data = url[5:].partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or encoding.split(";")[-1] != "base64" or not media_type or not _is_base64(data):
        raise InvalidRequest(
            f"'{place}' must be a URL or 'data:TYPE;base64,…' with valid base64.", param=place
        )
    return media_type, data


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True


def _cache(control: dict[str, Any] | None) -> f.CacheTtl:
    if not control:
        return ""
    return "1h" if control.get("ttl") == "1h" else "5m"


def _marked(mark: dict[str, Any] | None) -> f.CacheTtl:
    if not mark:
        return ""
    return "1h" if mark.get("ttl") == "12h" else "5m"


def _tools(body: ChatRequest) -> list[f.Tool]:
    tools: list[f.Tool] = []
    if body.tools is not UNSET:
        tools += [_tool(tool) for tool in read(_TOOLS, body.tools, "tools")]
    if body.web_search_options is not UNSET:
        tools.append(_search(read(_SEARCH, body.web_search_options, "web_search_options")))
    if body.functions is not UNSET:
        tools += [_function(each, "") for each in read(_FUNCTIONS, body.functions, "functions")]
    return tools


def _search(options: SearchOptions) -> f.WebSearch:
    place = options.user_location.approximate if options.user_location else {}
    return f.WebSearch(
        context_size=options.search_context_size or "",
        location={key: value for key, value in place.items() if value},
    )


def _grammar(raw: Raw) -> Raw | None:
    """Return a custom tool's format; a grammar stands in an object of its own only here."""
    given: Any = msgspec.json.decode(raw)
    if given is not None and not isinstance(given, dict):
        raise InvalidRequest("The 'format' of a custom tool must be an object.", param="tools")
    if given is None or not isinstance(given.get("grammar"), dict):
        return _given(raw)
    return Raw(msgspec.json.encode({"type": "grammar"} | given["grammar"]))


def _tool(tool: _Tool) -> f.Tool:
    if tool.custom is not None:
        return f.CustomTool(tool.custom.name, tool.custom.description or "", _grammar(tool.custom.format))
    assert tool.function is not None
    return _function(tool.function, _cache(tool.cache_control))


def _function(spec: _FunctionSpec, cache: f.CacheTtl) -> f.FunctionTool:
    return f.FunctionTool(spec.name, spec.description or "", _given(spec.parameters), spec.strict, cache)


def _given(raw: Raw) -> Raw | None:
    return None if bytes(raw) == b"null" else raw


def _choice(body: ChatRequest) -> f.ToolChoice:
    raw = body.tool_choice if body.tool_choice is not UNSET else body.function_call
    if raw is UNSET:
        return f.ToolChoice()
    choice: Any = msgspec.json.decode(raw)
    if choice in ("auto", "none", "required"):
        return f.ToolChoice(choice)
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        tools = allowed.get("tools") if isinstance(allowed, dict) else None
        if not isinstance(tools, list):
            raise InvalidRequest("'tool_choice.allowed_tools' must list tools.", param="tool_choice")
        names = [_named(tool) for tool in tools]
        return f.ToolChoice("required" if allowed.get("mode") == "required" else "auto", names)
    return f.ToolChoice("required", [_named(choice)])


def _named(choice: Any) -> str:
    inner = choice.get("function") or choice.get("custom") or choice if isinstance(choice, dict) else None
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str):
        raise InvalidRequest("'tool_choice' must name a tool.", param="tool_choice")
    return name


def _response_format(raw: Raw | msgspec.UnsetType) -> f.ResponseFormat:
    if raw is UNSET:
        return f.ResponseFormat()
    wanted = read(_FORMAT, raw, "response_format")
    if wanted.type == "json_object":
        return f.ResponseFormat("json_object")
    if wanted.json_schema is None:
        return f.ResponseFormat()
    schema = wanted.json_schema
    return f.ResponseFormat(
        "json_schema", schema.name, _given(schema.schema), schema.description or "", schema.strict
    )


def reasoning_of(body: ChatRequest) -> f.Reasoning:
    """Return how much is to be thought, in whichever provider's words it was said."""
    if not body.is_reasoned:
        return f.Reasoning()
    thinking, options = body.thinking or {}, body.reasoning or ReasoningOptions()
    said = body.reasoning_effort
    effort = options.effort if said is None or said == "default" else said
    budget = next(
        (each for each in (body.thinking_budget, options.max_tokens, thinking.get("budget_tokens")) if each),
        None,
    )
    return f.Reasoning(
        effort=effort,
        budget_tokens=budget if isinstance(budget, int) else None,
        is_enabled=_is_enabled(body, effort, options),
    )


def _is_enabled(body: ChatRequest, effort: str | None, options: ReasoningOptions) -> bool | None:
    if effort == "none":
        return False
    template = body.chat_template_kwargs or {}
    kind = {"enabled": True, "adaptive": True, "disabled": False}.get(str((body.thinking or {}).get("type")))
    said = (
        kind,
        body.enable_thinking,
        options.enabled,
        template.get("enable_thinking"),
        template.get("thinking"),
    )
    return next((each for each in said if isinstance(each, bool)), None)


def _vendor(body: ChatRequest) -> dict[str, Any]:
    """Return what only one provider or another knows and no other field of the form says."""
    if not body.is_reasoned:
        return {}
    return {
        name: value
        for name in ("reasoning_format", "include_reasoning", "clear_thinking", "chat_template_kwargs")
        if (value := getattr(body, name)) is not None
    }
