"""Validation against OpenAI's published OpenAPI document, as far as OpenAI's own traffic agrees with it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_SCHEMAS: dict[str, Any] = json.loads(
    Path(__file__).with_name("openai_schemas.json").read_text(encoding="utf-8")
)
_ROOT = "urn:openai"
_DOCUMENT = {"components": {"schemas": _SCHEMAS}}
_REGISTRY: Registry[Any] = Registry().with_resource(
    _ROOT, Resource.from_contents(_DOCUMENT, default_specification=DRAFT202012)
)


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"{_ROOT}#/components/schemas/{name}"}
    return Draft202012Validator(schema, registry=_REGISTRY)


@functools.cache
def _events() -> dict[str, str]:
    """Return the schema's name of each event of the Responses API."""
    names = [each["$ref"].rsplit("/", 1)[1] for each in _SCHEMAS["ResponseStreamEvent"]["anyOf"]]
    return {kind: name for name in names for kind in _SCHEMAS[name]["properties"]["type"]["enum"]}


def faults(name: str, instance: Any) -> set[str]:
    """Return where an object breaks its schema, such as ``choices.* lacks logprobs``."""
    return {fault for error in _validator(name).iter_errors(instance) for fault in _told(error)}


def _told(error: ValidationError) -> list[str]:
    place = ".".join("*" if isinstance(step, int) else str(step) for step in error.absolute_path)
    if error.validator == "required":
        demanded: Any = error.validator_value
        found: Any = error.instance
        return [f"{place} lacks {missing}" for missing in demanded if missing not in found]
    return [f"{place} breaks {error.validator}"]


def event_faults(event: Any) -> set[str]:
    """Return where an event of a response's stream breaks its schema; the event's name stands in front."""
    name = _events().get(event["type"])
    if name is None:
        return {f"{event['type']} is no event"}
    return {f"{event['type']}: {fault}" for fault in faults(name, event)}
