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
