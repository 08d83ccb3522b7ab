"""A form as a request of Anthropic's Messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from catalog.snapshot import Model
from gateway.asked import MOST_SEARCHES, Attempt
from gateway.form import ForeignTool, Form, FunctionTool, ResponseFormat, Tool, ToolChoice, WebSearch
from gateway.upstreams.anthropic_answer import ORIGIN
from gateway.upstreams.anthropic_names import ANSWER_TOOL
from gateway.upstreams.anthropic_schema import enforceable, is_enforceable
from gateway.upstreams.anthropic_thinking import Thinking, thinking_of
from gateway.upstreams.anthropic_turns import (
    Block,
    Turn,
    cache_control,
    conversation,
    is_prefilled,
    lacks_thoughts,
)
from gateway.upstreams.anthropic_wire import ASSUMED_MAX_OUTPUT
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.tools import SEARCH, offer, strange_parts
from gateway.upstreams.wire_names import wire_name

MAX_BREAKPOINTS = 4
_MAX_USER_ID = 256
_JSON_ONLY = "Answer with a single JSON object and nothing else: no words around it, no code fence."
_NO_SCHEMA = {"type": "object", "properties": {}}
# What tunes an answer elsewhere and has no counterpart here.
_TUNING = (
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "logit_bias",
    "verbosity",
    "prompt_cache_key",
    "prompt_cache_retention",
    "metadata",
    "max_tool_calls",
)


def body_of(form: Form, attempt: Attempt) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body and what was left out; raises ``CannotExpress``."""
    model = attempt.model
    _refuse(form)
    offered = offer(form, model.capabilities, protocol=ORIGIN, has_search=True)
    dropped = [name for name in _TUNING if getattr(form, name) not in (None, "", {})]
    dropped += [*offered.dropped, *strange_parts(form, ORIGIN)]
    system, turns = conversation(form)
    _check_prefill(turns, model)
    body: dict[str, Any] = {
        "model": attempt.route.upstream_model,
        "max_tokens": most_output(attempt),
        "messages": turns,
    }
    if form.response_format.kind == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
    if system:
        body["system"] = system
    forces = _add_tools(body, form, offered.tools, offered.choice, model)
    thinking = thinking_of(
        form, model, body["max_tokens"], may_budget=not forces and not lacks_thoughts(turns)
    )
    body |= thinking.fields
    _add_output(body, form, model, thinking)
    dropped += thinking.dropped + _add_sampling(body, form, model, thinking)
    dropped += _add_rest(body, form)
    _mark(body, form)
    return body, tuple(dict.fromkeys(dropped))


def most_output(attempt: Attempt) -> int:
    """Return ``max_tokens``, which Anthropic demands and refuses beyond the model's own."""
    own = attempt.model.max_output
    wanted = attempt.max_output or own or ASSUMED_MAX_OUTPUT
    return min(wanted, own) if own else wanted


def _refuse(form: Form) -> None:
    if form.choices > 1:
        raise CannotExpress("choices", "This model gives one answer at a time.")
    if form.logprobs:
        raise CannotExpress("logprobs", "This model does not tell the probabilities of its tokens.")
    if any(not each.strip() for each in form.stop):
        raise CannotExpress("stop", "This model takes no stop sequences of blanks alone.")


def _check_prefill(turns: list[Turn], model: Model) -> None:
    if is_prefilled(turns) and "no_prefill" in model.traits:
        raise CannotExpress(
            "messages",
            f"The last message must not be the assistant's: '{model.id}' begins its answers itself.",
        )


def _add_tools(
    body: dict[str, Any], form: Form, tools: tuple[Tool, ...], choice: ToolChoice, model: Model
) -> bool:
    """Write tools and the choice among them; tell whether one must be called."""
    chosen = [tool for tool in tools if not choice.names or _is_named(tool, choice.names)]
    written = [_tool(tool) for tool in chosen]
    mode: dict[str, Any] = {"type": {"required": "any"}.get(choice.mode, choice.mode)}
    if choice.mode == "required" and len(written) == 1:
        mode = {"type": "tool", "name": written[0]["name"]}
    wants_answer_tool = form.response_format.kind == "json_schema" and not _can_enforce(form, model)
    if wants_answer_tool and (choice.mode != "required" or not written):
        may_call = bool(written) and choice.mode == "auto"
        mode = {"type": "any"} if may_call else {"type": "tool", "name": ANSWER_TOOL}
        written.append(_answer_tool(form.response_format))
    if not written:
        return False
    body["tools"] = written
    if form.parallel_tool_calls is False and mode["type"] != "none":
        mode["disable_parallel_tool_use"] = True
    if mode != {"type": "auto"}:
        body["tool_choice"] = mode
    return mode["type"] in {"any", "tool"}


def _is_named(tool: Tool, names: list[str]) -> bool:
    if isinstance(tool, WebSearch):
        return SEARCH in names
    return (tool.kind if isinstance(tool, ForeignTool) else tool.name) in names


def _tool(tool: Tool) -> dict[str, Any]:
    match tool:
        case WebSearch():
            return _search(tool)
        case ForeignTool():
            raw: dict[str, Any] = msgspec.json.decode(tool.raw)
            return raw
        case FunctionTool():
            return _function(tool)
        case _:
            raise CannotExpress("tools", f"This model does not know the tool '{tool.name}'.")


def _function(tool: FunctionTool) -> dict[str, Any]:
    schema: Any = msgspec.json.decode(tool.parameters) if tool.parameters is not None else None
    if not isinstance(schema, dict) or not schema:
        schema = _NO_SCHEMA
    written = {
        "name": wire_name(tool.name, tool.namespace),
        "input_schema": schema if "type" in schema else {"type": "object"} | schema,
    }
    if tool.description:
        written["description"] = tool.description
    return written | {"cache_control": cache_control(tool.cache)} if tool.cache else written


def _search(tool: WebSearch) -> dict[str, Any]:
    if tool.allowed_domains and tool.blocked_domains:
        raise CannotExpress("web_search", "A search can allow domains or block them, not both.")
    written: dict[str, Any] = {
        "type": "web_search_20250305",
        "name": SEARCH,
        "max_uses": tool.max_uses or MOST_SEARCHES,
    }
    if tool.allowed_domains:
        written["allowed_domains"] = tool.allowed_domains
    if tool.blocked_domains:
        written["blocked_domains"] = tool.blocked_domains
    if tool.location:
        written["user_location"] = {"type": "approximate"} | tool.location
    return written


def _answer_tool(wanted: ResponseFormat) -> dict[str, Any]:
    schema: Any = msgspec.json.decode(wanted.schema) if wanted.schema is not None else _NO_SCHEMA
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise CannotExpress("response_format", "This model can only be held to the schema of a JSON object.")
    return {
        "name": ANSWER_TOOL,
        "description": f"Give the final answer to the user. {wanted.description}".strip(),
        "input_schema": {"type": "object"} | schema,
    }


def _can_enforce(form: Form, model: Model) -> bool:
    schema = form.response_format.schema
    return (
        "json_schema" in model.capabilities
        and schema is not None
        and is_enforceable(msgspec.json.decode(schema))
    )


def _add_output(body: dict[str, Any], form: Form, model: Model, thinking: Thinking) -> None:
    output: dict[str, Any] = {}
    if thinking.effort:
        output["effort"] = thinking.effort
    wanted = form.response_format
    if wanted.kind == "json_schema" and wanted.schema is not None and _can_enforce(form, model):
        output["format"] = {
            "type": "json_schema",
            "schema": enforceable(msgspec.json.decode(wanted.schema)),
        }
    if output:
        body["output_config"] = output


def _add_sampling(body: dict[str, Any], form: Form, model: Model, thinking: Thinking) -> list[str]:
    asked = {
        name: value
        for name in ("temperature", "top_p", "top_k")
        if (value := getattr(form, name)) is not None
    }
    if "no_sampling" in model.traits or thinking.is_on:
        return list(asked)
    dropped: list[str] = []
    if asked.get("top_k", 0) < 0:
        # How other servers say "all of them".
        del asked["top_k"]
    if "temperature" in asked:
        asked["temperature"] = min(asked["temperature"], 1.0)
        if asked.pop("top_p", None) is not None:
            # Newer models refuse both at once.
            dropped.append("top_p")
    body |= asked
    return dropped


def _add_rest(body: dict[str, Any], form: Form) -> list[str]:
    if form.stop:
        body["stop_sequences"] = form.stop
    if user := form.safety_identifier or form.user:
        body["metadata"] = {"user_id": user[:_MAX_USER_ID]}
    if form.is_stream:
        body["stream"] = True
    has_strict = any(isinstance(tool, FunctionTool) and tool.strict for tool in form.tools)
    has_size = any(isinstance(tool, WebSearch) and tool.context_size for tool in form.tools)
    return ["strict"] * has_strict + ["context_size"] * has_size


def _mark(body: dict[str, Any], form: Form) -> None:
    """Keep the last breakpoints of the cache, of which there may be four, and ask for one at the end if wanted."""
    marked = [block for block in _markable(body) if "cache_control" in block]
    room = MAX_BREAKPOINTS - bool(form.cache)
    for block in marked[: max(0, len(marked) - room)]:
        del block["cache_control"]
    if form.cache:
        body["cache_control"] = cache_control(form.cache)


def _markable(body: dict[str, Any]) -> Iterable[Block]:
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        for block in turn["content"]:
            if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                yield from block["content"]
            yield block
