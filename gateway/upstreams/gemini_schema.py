"""JSON schemas in the words of them that the Gemini protocol hears.

Google reads a part of JSON Schema and passes over the rest: a ``const``, by which unions are told apart, binds nothing
there, nor does ``allOf``, and beside a ``$ref`` nothing else may stand.
"""

from __future__ import annotations

from typing import Any

# Where schemas stand inside a schema: by name, in a list, or alone (some also in a list or as a plain yes or no).
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_ALONE = ("items", "additionalProperties")


def heard(schema: Any) -> Any:
    """Return a schema that means the same and is heard in all of it that can be."""
    if not isinstance(schema, dict):
        return schema
    written = {name: _inner(name, value) for name, value in schema.items()}
    const = written.get("const")
    if isinstance(const, str | int | float) and not isinstance(const, bool):
        written.setdefault("enum", [written.pop("const")])
    alone = written.get("allOf")
    if isinstance(alone, list) and len(alone) == 1 and "anyOf" not in written:
        written["anyOf"] = written.pop("allOf")
    if "$ref" in written and "anyOf" not in written and any(not name.startswith("$") for name in written):
        written["anyOf"] = [{"$ref": written.pop("$ref")}]
    return written


def _inner(name: str, value: Any) -> Any:
    if name in _NAMED and isinstance(value, dict):
        return {key: heard(each) for key, each in value.items()}
    if name in _LISTED and isinstance(value, list):
        return [heard(each) for each in value]
    return heard(value) if name in _ALONE else value
