"""A conversation as Anthropic's Messages takes it.

Instructions stand apart, turns alternate, results of tools come first in the turn after their calls, and nothing is
empty. What another provider sealed is left out: only Anthropic can read its own seals.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from gateway import form as f
from gateway.upstreams.anthropic_answer import ORIGIN
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.wire_names import arguments, plain, wire_name

Block = dict[str, Any]
Turn = dict[str, Any]

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
# A conversation must begin with the user.
_OPENING = "(The conversation begins.)"


def conversation(form: f.Form) -> tuple[list[Block], list[Turn]]:
    """Return the system blocks and the turns; raises ``CannotExpress``."""
    first = next((i for i, each in enumerate(form.messages) if each.role != "system"), len(form.messages))
    head, rest = form.messages[:first], form.messages[first:]
    if not rest:
        # Instructions alone are what the user says.
        head, rest = [], [f.Message("user", each.parts) for each in head]
    system = [block for message in head for block in _instructions(message)]
    turns: list[Turn] = []
    for message in rest:
        _add(turns, message)
    if not turns:
        raise CannotExpress("messages", "This model needs at least one message that is not empty.")
    if turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": [_text(_OPENING)]})
    for turn in turns:
        turn["content"].sort(key=lambda block: block["type"] != "tool_result" and turn["role"] == "user")
    _trim(turns[-1])
    return system, turns


def _add(turns: list[Turn], message: f.Message) -> None:
    role = "assistant" if message.role == "assistant" else "user"
    if message.role == "system":
        # There is no place for instructions between turns; where they stand matters more than what they are called.
        blocks = [_text(f"<system>\n{each['text']}\n</system>") for each in _instructions(message)]
    else:
        blocks = [block for part in message.parts if (block := _block(part, role)) is not None]
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _trim(last: Turn) -> None:
    """Drop the blanks at the end of an answer that is to be continued, which Anthropic refuses."""
    block = last["content"][-1]
    if last["role"] == "assistant" and block["type"] == "text":
        block["text"] = block["text"].rstrip()


def is_prefilled(turns: list[Turn]) -> bool:
    """Tell whether the conversation ends with the beginning of the answer."""
    return bool(turns) and turns[-1]["role"] == "assistant"


def lacks_thoughts(turns: list[Turn]) -> bool:
    """Tell whether the last answer called tools without the thoughts that Anthropic then wants to see first."""
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or last["content"][0]["type"] in {"thinking", "redacted_thinking"}:
        return False
    return any(block["type"] == "tool_use" for block in last["content"]) or last is turns[-1]


def cache_control(ttl: f.CacheTtl) -> dict[str, str]:
    """Return the mark of the end of a prefix that is to be cached."""
    return {"type": "ephemeral", "ttl": "1h"} if ttl == "1h" else {"type": "ephemeral"}


def _marked(block: Block, cache: f.CacheTtl) -> Block:
    return block | {"cache_control": cache_control(cache)} if cache else block


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _instructions(message: f.Message) -> list[Block]:
    blocks: list[Block] = []
    for part in message.parts:
        if not isinstance(part, f.Text | f.Refusal):
            raise CannotExpress("messages", "This model takes only text as instructions.")
        if part.text.strip():
            blocks.append(_said(part))
    return blocks


def _said(part: f.Text | f.Refusal) -> Block:
    return _marked(_text(part.text), part.cache if isinstance(part, f.Text) else "")


def _block(part: f.Part, role: str = "user") -> Block | None:
    match part:
        case f.Text() | f.Refusal():
            return _said(part) if part.text.strip() else None
        case f.Thinking():
            return _thinking(part)
        case f.ToolCall():
            return _call(part)
        case f.ToolResult():
            return _result(part)
        case f.Foreign():
            return _foreign(part, role)
        case _:
            return _medium(part)


def _medium(part: f.Image | f.Audio | f.File) -> Block:
    match part:
        case f.Image():
            return _marked(_image(part.url, part.data, part.media_type), part.cache)
        case f.File():
            return _marked(_document(part), part.cache)
        case _:
            raise CannotExpress("messages", "This model does not read audio.")


def _thinking(part: f.Thinking) -> Block | None:
    if part.origin != ORIGIN or not part.seal:
        return None
    if part.is_redacted:
        return {"type": "redacted_thinking", "data": part.seal}
    return {"type": "thinking", "thinking": part.text, "signature": part.seal}


def _call(part: f.ToolCall) -> Block:
    block = {
        "type": "tool_use",
        "id": plain(part.id),
        "name": wire_name(part.name, part.namespace),
        "input": arguments(part),
    }
    return _marked(block, part.cache)


def _result(part: f.ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": plain(part.call_id)}
    content = [inner for each in part.parts if (inner := _block(each)) is not None]
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        block["content"] = content[0]["text"]
    elif content:
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return _marked(block, part.cache)


def _foreign(part: f.Foreign, role: str) -> Block | None:
    if part.origin != ORIGIN and role == "assistant":
        return None
    if part.origin != ORIGIN:
        raise CannotExpress("messages", f"This model does not know parts of the kind '{part.kind}'.")
    block: Block = msgspec.json.decode(part.raw)
    return block


def _image(url: str, data: str, media_type: str) -> Block:
    if url:
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type
    if media_type not in _IMAGES:
        raise CannotExpress("messages", f"This model does not read pictures of the type '{media_type}'.")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _document(part: f.File) -> Block:
    if part.media_type.startswith("image/"):
        return _image(part.url, part.data, part.media_type)
    block: Block = {"type": "document", "source": _source(part)}
    return block | {"title": part.name} if part.name else block


def _source(part: f.File) -> dict[str, str]:
    if part.url:
        return {"type": "url", "url": part.url}
    if part.media_type == "application/pdf" and part.data:
        return {"type": "base64", "media_type": "application/pdf", "data": part.data}
    return {"type": "text", "media_type": "text/plain", "data": part.text or _decoded(part)}


def _decoded(part: f.File) -> str:
    is_text = part.media_type.startswith("text/") or part.media_type == "application/json"
    try:
        text = base64.b64decode(part.data, validate=True).decode() if is_text else ""
    except (binascii.Error, ValueError):
        text = ""
    if not text:
        raise CannotExpress("messages", f"This model does not read files of the type '{part.media_type}'.")
    return text
