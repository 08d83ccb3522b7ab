"""What servers of chat completions say when they refuse: the same in many shapes.

OpenAI's envelope; a plain text in its place (xAI, Ollama); the message beside it (Mistral, Cohere, older vLLM);
FastAPI's list of places (Mistral's 422); an envelope in a list (Google); another provider's refusal inside (OpenRouter).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.upstreams.base import NONSENSE

# Quotations stand in quotations no deeper than this.
_MAX_DEPTH = 3


class Told(msgspec.Struct, frozen=True):
    """What a refusal says: ``codes`` are its kinds in the server's own words."""

    message: str = ""
    param: str | None = None
    codes: frozenset[str] = frozenset()


def read_refusal(body: bytes, depth: int = 0) -> Told:
    """Read the body of a refusal; what cannot be read says nothing."""
    try:
        whole: Any = msgspec.json.decode(body)
    except NONSENSE:
        return Told()
    if isinstance(whole, list) and whole:
        whole = whole[0]
    if not isinstance(whole, dict):
        return Told()
    error = whole.get("error")
    if isinstance(error, dict):
        return _quoted(error, depth) or _told(error)
    if isinstance(error, str):
        return _told(whole | {"message": error})
    return _told(whole)


def _quoted(error: dict[str, Any], depth: int) -> Told | None:
    """Return what the provider behind another gateway said."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or depth >= _MAX_DEPTH:
        return None
    inner = read_refusal(raw.encode("utf-8", "replace"), depth + 1)
    return inner if inner.message else None


def _told(error: dict[str, Any]) -> Told:
    param = error.get("param")
    message, place = _message(error)
    codes = (error.get(name) for name in ("code", "type", "status"))
    return Told(
        message,
        param if isinstance(param, str) else place,
        frozenset(code for code in codes if isinstance(code, str)),
    )


def _message(error: dict[str, Any]) -> tuple[str, str | None]:
    said = error.get("message") or error.get("detail")
    if isinstance(said, dict):
        said = said.get("detail")
    if isinstance(said, str):
        return said, None
    first = said[0] if isinstance(said, list) and said else None
    if not isinstance(first, dict) or not isinstance(first.get("msg"), str):
        return "", None
    loc = first.get("loc")
    steps = [each for each in loc if each != "body"] if isinstance(loc, list) else []
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in steps).lstrip(".")
    return f"{place}: {first['msg']}" if place else first["msg"], place or None
