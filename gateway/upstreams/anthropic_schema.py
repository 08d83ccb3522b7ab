"""JSON schemas as Anthropic's structured outputs take them.

They know fewer keywords than OpenAI's; a bound that cannot be enforced is told to the model in the description.
"""

from __future__ import annotations

from typing import Any

_KEPT = frozenset(
    {
        "$ref",
        "$defs",
        "definitions",
        "type",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "description",
        "title",
        "default",
    }
)
_INNER = frozenset({"anyOf", "allOf", "oneOf", "$defs", "definitions", "properties", "items"})
_NAMED = frozenset({"$defs", "definitions", "properties"})
_REFERS = frozenset({"$ref", "anyOf", "allOf", "oneOf"})
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)


def enforceable(schema: Any) -> Any:
    """Return a schema that Anthropic can enforce, as near to the given one as it gets."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in _INNER or _is_kept(name, value):
            out["anyOf" if name == "oneOf" else name] = _inner(name, value)
        elif name not in {"additionalProperties", "$schema"}:
            told.append(f"{name}: {value}")
    if out.get("type") == "object" or "properties" in out:
        out["additionalProperties"] = False
    if told:
        out["description"] = f"{out.get('description', '')}\n\n{{{', '.join(told)}}}".strip()
    return out


def is_enforceable(schema: Any) -> bool:
    """Tell whether every object of a schema names its properties: with maps, of any keys, nothing could be said."""
    if isinstance(schema, list):
        return all(is_enforceable(each) for each in schema)
    if not isinstance(schema, dict):
        return True
    if _is_map(schema):
        return False
    inner = [value for name, value in schema.items() if name in _INNER - _NAMED]
    named = [value for name in _NAMED if isinstance(value := schema.get(name), dict)]
    return all(is_enforceable(each) for each in [*inner, *(one for each in named for one in each.values())])


def _is_map(schema: dict[str, Any]) -> bool:
    if "patternProperties" in schema or isinstance(schema.get("additionalProperties"), dict):
        return True
    is_object = schema.get("type") == "object"
    may_hold = schema.get("additionalProperties") is not False
    return is_object and may_hold and not (schema.get("properties") or _REFERS & schema.keys())


def _inner(name: str, value: Any) -> Any:
    if name in {"anyOf", "allOf", "oneOf"} and isinstance(value, list):
        return [enforceable(each) for each in value]
    if name in {"$defs", "definitions", "properties"} and isinstance(value, dict):
        return {key: enforceable(each) for key, each in value.items()}
    return enforceable(value) if name == "items" else value


def _is_kept(name: str, value: Any) -> bool:
    if name == "format":
        return isinstance(value, str) and value in _FORMATS
    if name == "minItems":
        return isinstance(value, int) and value in {0, 1}
    return name in _KEPT or name == "required"
