"""What a request asks, read from each format by itself, without any of the code under test."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Turn = tuple[str, ...]


@dataclass(slots=True)
class Question:
    """What any upstream must learn from a request; texts of one speaker that follow each other are one."""

    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    tools: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    choice: str = "auto"
    schema: str = ""
    most: int | None = None
    stop: tuple[str, ...] = ()
    # Names of the calls so far, by their ids.
    named: dict[str, str] = field(default_factory=dict)

    def say(self, who: str, text: str) -> None:
        """Add a text."""
        text = plain(text)
        if not text:
            return
        if who == "system":
            self.system = plain(f"{self.system} {text}")
        elif self.turns and self.turns[-1][0] == who:
            self.turns[-1] = (who, plain(f"{self.turns[-1][1]} {text}"))
        else:
            self.turns.append((who, text))

    def settled(self) -> list[Turn]:
        """Return the turns with an assistant's words before its calls: few protocols can mix them."""
        turns: list[Turn] = []
        for is_assistant, run in itertools.groupby(self.turns, lambda turn: turn[0] in {"assistant", "call"}):
            said = list(run)
            words = [turn[1] for turn in said if turn[0] == "assistant"]
            if is_assistant and words:
                turns.append(("assistant", plain("".join(words)).replace(" ", "")))
            turns += [turn for turn in said if turn[0] != "assistant"]
        return turns

    def show(self, what: str) -> None:
        """Add a picture or document by the start of its data or its address."""
        self.turns.append(("shown", what[:60]))

    def call(self, call_id: str, name: str, arguments: Any) -> None:
        """Add a tool call."""
        self.named[call_id] = name
        meant = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        self.turns.append(("call", name, json.dumps(meant, sort_keys=True)))

    def result(self, name: str, text: str) -> None:
        """Add what a tool gave."""
        self.turns.append(("result", name, plain(text)))

    def offer(self, name: str, description: str | None, schema: Any) -> None:
        """Add a tool."""
        self.tools[name] = (description or "", tuple(sorted((schema or {}).get("properties", {}))))


def plain(text: str) -> str:
    """Return a text with every run of blanks as one."""
    return re.sub(r"\s+", " ", text).strip()


def _source(media_type: str, data: str) -> str:
    return f"{media_type},{data}"


def _from_url(url: str) -> str:
    match = re.match(r"data:([^;,]+);base64,(.*)", url, flags=re.DOTALL)
    return _source(match[1], match[2]) if match else url


# Chat completions.


def chat_question(body: Any) -> Question:
    """Read a chat completion's request."""
    stop = body.get("stop") or ()
    asked = Question(
        most=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )
    for message in body["messages"]:
        _chat_message(asked, message)
    for function in [tool["function"] for tool in body.get("tools") or () if "function" in tool]:
        asked.offer(function["name"], function.get("description"), function.get("parameters"))
    choice = body.get("tool_choice") or "auto"
    asked.choice = choice if isinstance(choice, str) else choice["function"]["name"]
    wanted = body.get("response_format") or {}
    asked.schema = (wanted.get("json_schema") or {}).get("name", wanted.get("type", "")).replace("text", "")
    return asked


def _chat_message(asked: Question, message: Any) -> None:
    role, content = message["role"], message.get("content")
    parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if role == "tool":
        text = " ".join(part.get("text", "") for part in parts)
        asked.result(asked.named.get(message["tool_call_id"], ""), text)
        return
    for part in parts:
        if part["type"] == "text":
            asked.say("system" if role == "developer" else role, part["text"])
        elif part["type"] == "image_url":
            asked.show(_from_url(part["image_url"]["url"]))
        elif part["type"] == "file":
            asked.show(_from_url(part["file"]["file_data"]))
    for call in message.get("tool_calls") or ():
        asked.call(call["id"], call["function"]["name"], call["function"]["arguments"])


# Messages.


def messages_question(body: Any) -> Question:
    """Read a message's request."""
    asked = Question(most=body.get("max_tokens"), stop=tuple(body.get("stop_sequences") or ()))
    system = body.get("system") or ""
    for block in [{"text": system}] if isinstance(system, str) else system:
        asked.say("system", block["text"])
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            _block(asked, message["role"], block)
    for tool in body.get("tools") or ():
        if "input_schema" in tool:
            asked.offer(tool["name"], tool.get("description"), tool["input_schema"])
    choice = body.get("tool_choice") or {"type": "auto"}
    asked.choice = choice.get("name") or {"any": "required"}.get(choice["type"], choice["type"])
    return asked


def _block(asked: Question, role: str, block: Any) -> None:
    match block["type"]:
        case "text":
            asked.say(role, block["text"])
        case "image" | "document":
            source = block["source"]
            asked.show(source.get("url") or _source(source["media_type"], source["data"]))
        case "tool_use":
            asked.call(block["id"], block["name"], block["input"])
        case "tool_result":
            content = block.get("content") or ""
            parts = [{"text": content}] if isinstance(content, str) else content
            text = " ".join(part.get("text", "") for part in parts)
            asked.result(asked.named.get(block["tool_use_id"], ""), text)
        case _:
            pass


# Responses.


def responses_question(body: Any) -> Question:
    """Read a response's request."""
    asked = Question(most=body.get("max_output_tokens"))
    asked.say("system", body.get("instructions") or "")
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _item(asked, item)
    for tool in body.get("tools") or ():
        if tool["type"] == "function":
            asked.offer(tool["name"], tool.get("description"), tool.get("parameters"))
    choice = body.get("tool_choice") or "auto"
    asked.choice = choice if isinstance(choice, str) else choice.get("name", choice["type"])
    wanted = (body.get("text") or {}).get("format") or {}
    asked.schema = wanted.get("name", wanted.get("type", "")).replace("text", "")
    return asked


def _item(asked: Question, item: Any) -> None:
    match item.get("type", "message"):
        case "message":
            role, content = item["role"], item["content"]
            for part in [{"text": content}] if isinstance(content, str) else content:
                _content(asked, "system" if role == "developer" else role, part)
        case "function_call":
            asked.call(item["call_id"], item["name"], item["arguments"])
        case "function_call_output":
            output = item["output"]
            parts = [{"text": output}] if isinstance(output, str) else output
            asked.result(
                asked.named.get(item["call_id"], ""), " ".join(part.get("text", "") for part in parts)
            )
        case _:
            pass


def _content(asked: Question, role: str, part: Any) -> None:
    if part.get("image_url"):
        asked.show(_from_url(part["image_url"]))
    elif document := part.get("file_data") or part.get("file_url"):
        asked.show(_from_url(document))
    else:
        asked.say(role, part.get("text", ""))


# Gemini.


def gemini_question(body: Any) -> Question:
    """Read a generateContent request."""
    config = body.get("generationConfig") or {}
    asked = Question(most=config.get("maxOutputTokens"), stop=tuple(config.get("stopSequences") or ()))
    for part in (body.get("systemInstruction") or {}).get("parts", ()):
        asked.say("system", part["text"])
    for content in body["contents"]:
        for part in content["parts"]:
            _part(asked, "assistant" if content["role"] == "model" else "user", part)
    for tool in body.get("tools") or ():
        for each in tool.get("functionDeclarations", ()):
            schema = each.get("parametersJsonSchema") or each.get("parameters")
            asked.offer(each["name"], each.get("description"), schema)
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names = calling.get("allowedFunctionNames") or []
    mode = {"ANY": "required", "NONE": "none"}.get(calling.get("mode", ""), "auto")
    asked.choice = names[0] if mode == "required" and len(names) == 1 else mode
    return asked


def _part(asked: Question, who: str, part: Any) -> None:
    if part.get("thought"):
        return
    if "text" in part:
        asked.say(who, part["text"])
    elif "inlineData" in part:
        asked.show(_source(part["inlineData"]["mimeType"], part["inlineData"]["data"]))
    elif "fileData" in part:
        asked.show(part["fileData"]["fileUri"])
    elif "functionCall" in part:
        call = part["functionCall"]
        asked.call("", call["name"], call.get("args") or {})
    elif "functionResponse" in part:
        response = part["functionResponse"]
        values = list(response["response"].values())
        is_wrapped = len(values) == 1 and isinstance(values[0], str)
        asked.result(response["name"], values[0] if is_wrapped else json.dumps(response["response"]))


QUESTION: dict[str, Callable[[Any], Question]] = {
    "chat": chat_question,
    "gemini": gemini_question,
    "messages": messages_question,
    "responses": responses_question,
}
