"""A conversation as Amazon Bedrock's Converse takes it.

Turns alternate and begin with the user, results of tools come before what else a turn holds, and no text is blank.
Shapes: Amazon's reference of ``Converse``.
"""

from __future__ import annotations

import base64
from typing import Any

from gateway import form as f
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.wire_names import arguments, plain, wire_name

Block = dict[str, Any]

ORIGIN = "bedrock"
MAX_CACHE_POINTS = 4
_IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_OPENING = "(The conversation begins.)"
_DOCUMENT_ONLY = "Read the document."
_BY_VALUE = "This model reads no addresses: send the file itself as base64."


def thin_out(*places: list[Block]) -> None:
    """Keep the last of the cache points, of which a request may have four."""
    found = [(place, block) for place in places for block in place if "cachePoint" in block]
    for place, block in found[: max(0, len(found) - MAX_CACHE_POINTS)]:
        place[:] = [each for each in place if each is not block]


def cache_point(ttl: f.CacheTtl) -> Block:
    """Return the mark of the end of a prefix that is to be cached."""
    return {"cachePoint": {"type": "default"} | ({"ttl": "1h"} if ttl == "1h" else {})}


class Turns:
    """Writes the messages of one request; ``seals`` names the origins of thoughts that the model can read."""

    def __init__(self, *, can_cache: bool, seals: frozenset[str]) -> None:
        self._can_cache = can_cache
        self._seals = seals
        self._documents = 0
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []

    def write(self, messages: list[f.Message]) -> None:
        """Fill ``system`` and ``turns``; raises ``CannotExpress``."""
        for message in messages:
            if message.role == "system" and not self.turns:
                self.system += self._instructions(message, "{}")
            else:
                self._add(message)
        if not self.turns:
            # Instructions alone are what the user says.
            self.system, self.turns = [], [{"role": "user", "content": self.system}]
        if not self.turns[0]["content"]:
            raise CannotExpress("messages", "This model needs at least one message that is not empty.")
        if self.turns[0]["role"] != "user":
            self.turns.insert(0, {"role": "user", "content": [{"text": _OPENING}]})
        for turn in self.turns:
            if turn["role"] == "user":
                _settle(turn["content"])
        _trim(self.turns[-1])

    def _add(self, message: f.Message) -> None:
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "system":
            blocks = self._instructions(message, "<system>\n{}\n</system>")
        else:
            blocks = [block for part in message.parts for block in self._marked(part, message.role)]
        if not blocks:
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "content": []})
        self.turns[-1]["content"] += blocks

    def _instructions(self, message: f.Message, frame: str) -> list[Block]:
        blocks: list[Block] = []
        for part in message.parts:
            if not isinstance(part, f.Text):
                raise CannotExpress("messages", "Instructions to this model can only be text.")
            if part.text.strip():
                blocks.append({"text": frame.format(part.text)})
                blocks += self.mark(part)
        return blocks

    def _marked(self, part: f.Part, role: str) -> list[Block]:
        block = self._block(part, role)
        return [] if block is None else [block, *self.mark(part)]

    def mark(self, part: f.Part | f.FunctionTool) -> list[Block]:
        """Return a cache point where the part asks for one and the model can keep a prefix."""
        ttl: f.CacheTtl = getattr(part, "cache", "")
        return [cache_point(ttl)] if ttl and self._can_cache else []

    def _block(self, part: f.Part, role: str) -> Block | None:
        match part:
            case f.Text() | f.Refusal():
                return {"text": part.text} if part.text.strip() else None
            case f.Thinking():
                return self._thought(part)
            case f.ToolCall():
                named = {"toolUseId": plain(part.id), "name": wire_name(part.name, part.namespace)}
                return {"toolUse": named | {"input": arguments(part)}}
            case f.ToolResult():
                return self._result(part)
            case f.Foreign():
                if role == "user":
                    raise CannotExpress("messages", f"This model cannot read a part of type '{part.kind}'.")
                return None
            case _:
                return self._medium(part)

    def _thought(self, part: f.Thinking) -> Block | None:
        if not part.seal or part.origin not in self._seals:
            return None
        if part.is_redacted:
            return {"reasoningContent": {"redactedContent": part.seal}}
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.seal}}}

    def _result(self, result: f.ToolResult) -> Block:
        content = [block for part in result.parts if (block := self._block(part, "user")) is not None]
        status = {"status": "error"} if result.is_error else {}
        said = content or [{"text": "(empty)"}]
        return {"toolResult": {"toolUseId": plain(result.call_id), "content": said} | status}

    def _medium(self, part: f.Image | f.Audio | f.File) -> Block:
        if isinstance(part, f.Audio):
            return {"audio": {"format": part.format, "source": {"bytes": part.data}}}
        if part.url:
            raise CannotExpress("messages", _BY_VALUE)
        if kind := _IMAGES.get(part.media_type):
            return {"image": {"format": kind, "source": {"bytes": part.data}}}
        if isinstance(part, f.Image):
            raise CannotExpress("messages", f"This model does not read pictures of type '{part.media_type}'.")
        return self._document(part)

    def _document(self, file: f.File) -> Block:
        kind = _DOCUMENTS.get(file.media_type) if file.data else "txt"
        if kind is None:
            raise CannotExpress("messages", f"This model does not read files of type '{file.media_type}'.")
        title = f"{file.name}:\n" if file.name else ""
        data = file.data or base64.b64encode((title + file.text).encode("utf-8", "replace")).decode()
        # Names must differ and may hold few characters; a caller's own could also smuggle in instructions.
        self._documents += 1
        return {
            "document": {"format": kind, "name": f"document {self._documents}", "source": {"bytes": data}}
        }


def _settle(content: list[Block]) -> None:
    content.sort(key=lambda block: "toolResult" not in block)
    if any("document" in block for block in content) and not any("text" in block for block in content):
        content.append({"text": _DOCUMENT_ONLY})


def _trim(last: dict[str, Any]) -> None:
    """Drop the blanks at the end of an answer that is to be continued, which are refused."""
    block = last["content"][-1]
    if last["role"] == "assistant" and "text" in block:
        block["text"] = block["text"].rstrip()
