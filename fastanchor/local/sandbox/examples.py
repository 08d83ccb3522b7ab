"""Values that satisfy a JSON schema: arguments of tool calls and structured answers."""

from __future__ import annotations

import math
import re
from random import Random
from typing import Any

from fastanchor.local.sandbox.prose import topics

Schema = dict[str, Any]

_DEEPEST = 12
_OPTIONAL_DEPTH = 5
_PROPER_NAME = re.compile(r"(?<=[\w,] )[A-Z][^\W\d_]{2,}")
_FORMATS = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "PT15M",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/page",
    "uuid": "6f1f8a52-6a0e-4c37-9a53-0f5f6d0b8c11",
}


class Examples:
    """Makes values for one schema; ``prompt`` lends them its names and topics."""

    def __init__(self, schema: Schema, *, source: Random, prompt: str) -> None:
        self._root = schema
        self._source = source
        self._names = _PROPER_NAME.findall(prompt)
        self._topics = topics(prompt)

    def value(self) -> Any:
        """Return a value that is valid under the schema."""
        return self._of(self._root, "value", 0)

    def _of(self, schema: Any, name: str, depth: int) -> Any:
        # A schema may be true or false instead of an object.
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None
        schema = self._resolved(schema)
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        if schema.get("enum"):
            return self._source.choice(schema["enum"])
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self._of(self._option(options, depth), name, depth + 1)
        return self._of_kind(_kind(schema, depth), schema, name, depth)

    def _of_kind(self, kind: str, schema: Schema, name: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._string(schema, name)
            case "integer" | "number":
                return _number(schema, self._source, is_whole=kind == "integer")
            case "boolean":
                return self._source.choice([True, False])
            case _:
                return None

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(_DEEPEST):
            if "$ref" not in schema:
                break
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._target(schema["$ref"]), **rest}
        for part in schema.get("allOf", ()):
            schema = _merged(schema, self._resolved(part))
        return schema

    def _target(self, pointer: str) -> Schema:
        found: Any = self._root
        for step in pointer.removeprefix("#").strip("/").split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if step else found
        return dict(found)

    def _option(self, options: list[Schema], depth: int) -> Schema:
        """Prefer a real value, but end a recursion by ``null`` where that is allowed."""
        nulls = [option for option in options if option.get("type") == "null"]
        others = [option for option in options if option.get("type") != "null"]
        return nulls[0] if nulls and (depth > _OPTIONAL_DEPTH or not others) else others[0]

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties: dict[str, Schema] = schema.get("properties", {})
        required = schema.get("required", [])
        names = required if depth > _OPTIONAL_DEPTH else dict.fromkeys([*properties, *required])
        return {name: self._of(properties.get(name, {"type": "string"}), name, depth + 1) for name in names}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        fewest = schema.get("minItems", 0 if depth > _OPTIONAL_DEPTH else 1)
        count = min(max(fewest, 0 if depth > _OPTIONAL_DEPTH else 2), schema.get("maxItems", max(fewest, 2)))
        first = [self._of(item, name, depth + 1) for item in schema.get("prefixItems", [])]
        items = schema.get("items", {"type": "string"})
        return first + [self._of(items, name, depth + 1) for _ in range(count - len(first))]

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        choices = self._names or self._topics
        text = self._source.choice(choices) if choices else name
        text = text.ljust(schema.get("minLength", 0), "x")
        return text[: schema.get("maxLength", len(text))]


def _kind(schema: Schema, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        is_ended = "null" in kind and depth > _OPTIONAL_DEPTH
        return "null" if is_ended else next((one for one in kind if one != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    # Gemini writes its kinds in capitals.
    return str(kind).lower()


def _merged(one: Schema, other: Schema) -> Schema:
    return {
        **other,
        **one,
        "properties": {**other.get("properties", {}), **one.get("properties", {})},
        "required": [*one.get("required", []), *other.get("required", [])],
    }


def _number(schema: Schema, source: Random, *, is_whole: bool) -> int | float:
    step = schema.get("multipleOf", 1)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    low = low if low is not None else (1 if high is None else min(1, high))
    high = high if high is not None else low + 40 * step
    fewest, most = math.ceil(low / step), math.floor(high / step)
    if most < fewest:
        return float((low + high) / 2)
    number: float = source.randint(fewest, most) * step
    return int(number) if is_whole else number
