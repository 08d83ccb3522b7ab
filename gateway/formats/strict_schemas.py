"""Which JSON schemas OpenAI's strict mode takes.

Anthropic enforces schemas in which properties may be left out; OpenAI refuses them where its strict mode is asked for,
and keeps to them as well as it can where it is not.
"""

from __future__ import annotations

from typing import Any

import msgspec

_REFUSED = frozenset({"allOf", "oneOf", "not", "if", "default", "patternProperties"})
_NAMED = frozenset({"properties", "$defs", "definitions"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


def is_strict(raw: msgspec.Raw) -> bool:
    """Tell whether a schema can be enforced as it is."""
    try:
        schema: Any = msgspec.json.decode(raw)
        return isinstance(schema, dict) and schema.get("type") == "object" and _fits(schema)
    except RecursionError:
        return False


def _fits(schema: Any) -> bool:
    if not isinstance(schema, dict) or _REFUSED & schema.keys():
        return False
    if "$ref" in schema:
        return schema.keys() == {"$ref"}
    if not {"type", "anyOf"} & schema.keys() or str(schema.get("format", "date")) not in _FORMATS:
        return False
    inner: list[Any] = [schema["items"]] if "items" in schema else []
    if "anyOf" in schema:
        inner += schema["anyOf"] if isinstance(schema["anyOf"], list) else [None]
    for name in _NAMED & schema.keys():
        inner += schema[name].values() if isinstance(schema[name], dict) else [None]
    return all(map(_fits, inner)) and _is_closed(schema)


def _is_closed(schema: dict[str, Any]) -> bool:
    if schema.get("type") != "object":
        return True
    named, required = schema.get("properties", {}), schema.get("required", [])
    is_whole = isinstance(required, list) and all(name in required for name in named)
    return is_whole and schema.get("additionalProperties") is False
