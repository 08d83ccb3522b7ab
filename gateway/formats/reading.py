"""How a body is read: strictly, and with an error that names the parameter."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from gateway.errors import InvalidRequest

T = TypeVar("T")

_PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
_FIELD = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")
# Deeper than any schema that a provider takes; ours and theirs are written by programs that call themselves.
MAX_DEPTH = 64
# Many more than a long conversation has. In memory each takes twenty times the two bytes that a caller pays for it.
MAX_LISTS = 262_144
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(each for each in range(256) if each not in b"[]{}")


def read(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, name: str = "") -> T:
    """Decode JSON that stands at ``name`` in the body, or is all of it; raises ``InvalidRequest``."""
    try:
        decoded = decoder.decode(data)
        if not name:
            _check_nesting(bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise explain(exc, name) from None
    return decoded


def _check_nesting(valid: bytes) -> None:
    if valid.count(b"{") + valid.count(b"[") <= MAX_DEPTH:
        return
    # Without escapes every second piece between quotes is a string.
    pieces = valid.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    left = b"".join(pieces).translate(_ONE_KIND, _NO_BRACKETS)
    if len(left) > 2 * MAX_LISTS:
        raise InvalidRequest(f"The body has too many objects and lists: at most {MAX_LISTS:,}.")
    for _ in range(MAX_DEPTH):
        # Takes the innermost level away: what is valid is gone after as many turns as it is deep.
        if not (left := left.replace(b"[]", b"")):
            return
    raise RecursionError


def explain(exc: Exception, name: str = "") -> InvalidRequest:
    """Return the refusal of a body that could not be decoded."""
    if isinstance(exc, RecursionError):
        return InvalidRequest(
            f"The body is nested too deeply: at most {MAX_DEPTH} levels.", param=name or None
        )
    text = str(exc)
    place = _PLACE.search(text)
    param = name + (place["place"] if place else "")
    field = _FIELD.search(text)
    if field:
        param = f"{param}.{field['field']}"
    param = param.replace("[...]", "[]").lstrip(".")
    reason = _PLACE.sub("", text)
    if "unknown field" in text:
        return InvalidRequest(f"Unknown parameter: '{param}'. Remove it or check its spelling.", param=param)
    if "missing required field" in text:
        return InvalidRequest(f"Missing required parameter: '{param}'.", param=param)
    if isinstance(exc, msgspec.ValidationError):
        return InvalidRequest(f"Invalid value for '{param or 'body'}': {reason}.", param=param or None)
    return InvalidRequest(f"The body is not valid JSON: {reason}.")
