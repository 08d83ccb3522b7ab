"""A form as a request of the Gemini protocol: contents, tools, and what else stands beside the configuration.

Shapes: Google's reference of ``generateContent``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import form as f
from gateway.asked import Attempt
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.gemini_config import generation_config
from gateway.upstreams.gemini_media import audio_part, file_part, image_part
from gateway.upstreams.gemini_schema import heard
from gateway.upstreams.gemini_seals import NO_SIGNATURE, ORIGIN, Service, unmarked
from gateway.upstreams.tools import Offer, offer, strange_parts
from gateway.upstreams.wire_names import arguments, wire_name

_ENCODER = msgspec.json.Encoder()
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def write(form: f.Form, attempt: Attempt, service: Service) -> tuple[bytes, tuple[str, ...]]:
    """Return the body and what was left out; raises ``CannotExpress``."""
    has_levels = "thinking_level" in attempt.model.traits
    if "no_prefill" in attempt.model.traits and form.messages and form.messages[-1].role == "assistant":
        raise CannotExpress(
            "messages", "This model does not continue an answer that was begun: end with a user's turn."
        )
    offered = _offer(form, attempt, can_mix=has_levels and service == "gemini")
    body: dict[str, Any] = {"contents": _Contents(service, demands_seals=has_levels).write(form.messages)}
    if system := _system(form.messages):
        body["systemInstruction"] = {"parts": system}
    body |= _tools(offered, service)
    config, dropped = generation_config(form, attempt, has_tools=bool(offered.tools))
    if config:
        body["generationConfig"] = config
    if form.parallel_tool_calls is False and offered.tools:
        dropped.append("parallel_tool_calls")
    left_out = dict.fromkeys([*offered.dropped, *strange_parts(form, ORIGIN), *dropped])
    return _ENCODER.encode(body), tuple(left_out)


def _offer(form: f.Form, attempt: Attempt, *, can_mix: bool) -> Offer:
    # Only Gemini 3 searches and calls functions in one request.
    is_alone = not any(isinstance(tool, f.FunctionTool | f.CustomTool) for tool in form.tools)
    return offer(form, attempt.model.capabilities, protocol=ORIGIN, has_search=is_alone or can_mix)


def _system(messages: list[f.Message]) -> list[dict[str, Any]]:
    """Return the instructions in front of the conversation."""
    parts: list[dict[str, Any]] = []
    for message in messages:
        if message.role != "system":
            break
        parts += [{"text": text} for text in _instructions(message)]
    return parts


def _instructions(message: f.Message) -> list[str]:
    if any(not isinstance(part, f.Text) for part in message.parts):
        raise CannotExpress("messages", "Instructions to this model can only be text.")
    return [part.text for part in message.parts if isinstance(part, f.Text) and part.text]


class _Contents:
    """Writes the turns of a conversation; neighbours of the same role become one."""

    def __init__(self, service: Service, *, demands_seals: bool) -> None:
        self._service = service
        self._demands_seals = demands_seals
        # Vertex AI refuses ids of models that never give any.
        self._knows_ids = demands_seals or service == "gemini"
        # Gemini knows results by the function's name.
        self._called: dict[str, str] = {}

    def write(self, messages: list[f.Message]) -> list[dict[str, Any]]:
        """Return ``contents``; raises ``CannotExpress``."""
        contents: list[dict[str, Any]] = []
        for message in messages:
            if message.role == "system" and not contents:
                continue
            role = "model" if message.role == "assistant" else "user"
            if not contents or contents[-1]["role"] != role:
                contents.append({"role": role, "parts": []})
            if message.role == "system":
                # There is no place for instructions between turns; where they stand matters more than their name.
                parts = [{"text": f"<system>\n{text}\n</system>"} for text in _instructions(message)]
                contents[-1]["parts"] += parts
            else:
                self._add(message, contents[-1]["parts"])
        for content in contents:
            self._finish(content)
        return contents or [{"role": "user", "parts": [{"text": ""}]}]

    def _finish(self, content: dict[str, Any]) -> None:
        said = [part for part in content["parts"] if part != {"text": ""}]
        content["parts"] = said or [{"text": ""}]
        calls = [part for part in said if "functionCall" in part]
        if calls and self._demands_seals:
            # Of calls made together only the first is signed.
            calls[0].setdefault("thoughtSignature", NO_SIGNATURE)

    def _add(self, message: f.Message, parts: list[dict[str, Any]]) -> None:
        for part in message.parts:
            match part:
                case f.ToolCall():
                    parts.append(self._call(part))
                case f.ToolResult():
                    parts += self._result(part)
                case f.Thinking():
                    if part.origin == ORIGIN and (seal := unmarked(part.seal, self._service)):
                        parts.append({"text": part.text, "thought": True, "thoughtSignature": seal})
                case f.Foreign():
                    if message.role == "user":
                        raise CannotExpress(
                            "messages", f"This model cannot read a part of type '{part.kind}'."
                        )
                case _:
                    parts.append(_plain(part, self._service))

    def _call(self, call: f.ToolCall) -> dict[str, Any]:
        name = self._called[call.id] = wire_name(call.name, call.namespace)
        called = self._id(call.id) | {"name": name, "args": arguments(call)}
        return {"functionCall": called} | _sealed(call.seal, self._service)

    def _id(self, call_id: str) -> dict[str, Any]:
        return {"id": call_id} if self._knows_ids else {}

    def _result(self, result: f.ToolResult) -> list[dict[str, Any]]:
        name = self._called.get(result.call_id)
        if name is None:
            raise CannotExpress(
                "messages", f"A tool's result names the call '{result.call_id}', which was never made."
            )
        text = "\n".join([part.text for part in result.parts if isinstance(part, f.Text)])
        # Always as text: Google keeps numbers inside an object as doubles.
        response = {"error" if result.is_error else "output": text}
        answer = {"functionResponse": self._id(result.call_id) | {"name": name, "response": response}}
        return [
            answer,
            *(_plain(part, self._service) for part in result.parts if not isinstance(part, f.Text)),
        ]


def _sealed(seal: str, service: Service) -> dict[str, str]:
    signature = unmarked(seal, service)
    return {"thoughtSignature": signature} if signature else {}


def _plain(part: f.Text | f.Refusal | f.Image | f.Audio | f.File, service: Service) -> dict[str, Any]:
    match part:
        case f.Text():
            return {"text": part.text} | _sealed(part.signature, service)
        case f.Refusal():
            return {"text": part.text}
        case f.Image():
            return image_part(part)
        case f.Audio():
            return audio_part(part)
        case f.File():
            return file_part(part)


def _tools(offered: Offer, service: Service) -> dict[str, Any]:
    choice = offered.choice
    functions = [tool for tool in offered.tools if isinstance(tool, f.FunctionTool)]
    if choice.mode == "auto" and choice.names:
        # Names are only heard where a call is demanded: what may not be called is not declared.
        functions = [tool for tool in functions if tool.name in choice.names]
    tools: list[dict[str, Any]] = []
    if functions:
        tools.append({"functionDeclarations": [_declaration(tool) for tool in functions]})
    searches = [tool for tool in offered.tools if isinstance(tool, f.WebSearch)]
    if searches:
        tools.append({"googleSearch": _search(searches[0], service)})
    fields: dict[str, Any] = {"tools": tools} if tools else {}
    config = _tool_config(choice, functions)
    if functions and searches:
        config["includeServerSideToolInvocations"] = True
    return fields | ({"toolConfig": config} if config else {})


def _declaration(tool: f.FunctionTool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    schema: Any = None if tool.parameters is None else msgspec.json.decode(tool.parameters)
    if not isinstance(schema, dict) or not schema:
        schema = _NO_PARAMETERS
    schema = schema if "type" in schema else {"type": "object"} | schema
    return {
        "name": wire_name(tool.name, tool.namespace),
        **described,
        "parametersJsonSchema": heard(schema),
    }


def _search(tool: f.WebSearch, service: Service) -> dict[str, Any]:
    if tool.allowed_domains or (tool.blocked_domains and service != "vertex"):
        raise CannotExpress("web_search", "This model's provider cannot restrict a search to domains.")
    return {"excludeDomains": tool.blocked_domains} if tool.blocked_domains else {}


def _tool_config(choice: f.ToolChoice, functions: list[f.FunctionTool]) -> dict[str, Any]:
    if choice.mode == "auto" or not (functions or choice.mode == "required"):
        return {}
    if choice.mode == "none":
        return {"functionCallingConfig": {"mode": "NONE"}}
    named = [wire_name(tool.name, tool.namespace) for tool in functions if tool.name in choice.names]
    if not functions or len(named) < len(set(choice.names)):
        raise CannotExpress(
            "tool_choice", "This model must be given the functions of which it has to call one."
        )
    config: dict[str, Any] = {"mode": "ANY"}
    if named:
        config["allowedFunctionNames"] = named
    return {"functionCallingConfig": config}
