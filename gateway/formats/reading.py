"""How a body is read: strictly, and with an error that names the parameter."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from gateway.errors import InvalidRequest

T = TypeVar("T")

_PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
_FIELD = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")


def read(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, name: str = "") -> T:
    """Decode JSON that stands at ``name`` in the body; raises ``InvalidRequest``."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise explain(exc, name) from None


def explain(exc: Exception, name: str = "") -> InvalidRequest:
    """Return the refusal of a body that could not be decoded."""
    if isinstance(exc, RecursionError):
        return InvalidRequest("The body is nested too deeply.", param=name or None)
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
