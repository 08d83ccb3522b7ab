"""Holds all that goes through the fake against Stripe's OpenAPI document: parameters, answers, errors and events."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from fastanchor.local.fakestripe.form import Tree, parse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_DOCUMENT: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
_EVENTS = frozenset(
    json.loads(
        (Path(__file__).parents[2] / "fastanchor/local/fakestripe/api.json").read_text(encoding="utf-8")
    )["events"]
)
_ROOT = "urn:stripe"
_REGISTRY: Registry[Any] = Registry().with_resource(
    _ROOT,
    Resource.from_contents({"components": _DOCUMENT["components"]}, default_specification=DRAFT202012),
)
_ERROR = {"$ref": "#/components/schemas/error"}
_UNLISTED = "/v1/payment_pages/"


class Referee:
    """An application around the fake's that keeps what breaks the document, and counts what was looked at."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.faults: list[str] = []
        self.objects = 0
        self._seen_events: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and look at both sides of it."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._application(scope, receive, send)
            return
        asked, answered, statuses = bytearray(), bytearray(), []

        async def listen() -> MutableMapping[str, Any]:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def note(message: MutableMapping[str, Any]) -> None:
            statuses.append(message.get("status", 0))
            answered.extend(message.get("body", b""))
            await send(message)

        await self._application(scope, listen, note)
        if statuses:
            text = scope["query_string"] if scope["method"] == "GET" else bytes(asked)
            self._judge(f"{scope['method']} {scope['path']}", text.decode(), statuses[0], bytes(answered))

    def judge_event(self, event: Any) -> None:
        """Look at an event that was delivered."""
        self.objects += 1
        self._add(event["type"], [] if event["type"] in _EVENTS else ["is no type of event"])
        self._add(f"event {event['type']}", faults({"$ref": "#/components/schemas/event"}, event))
        about = event["data"]["object"]
        self._add(f"event {event['type']}", faults(_schema_of(about), about))

    def _judge(self, request: str, text: str, status: int, body: bytes) -> None:
        operation = operation_of(request)
        answer = json.loads(body)
        if operation is None:
            if status == 200 and _UNLISTED not in request:
                self._add(request, ["is no operation of Stripe's"])
            return
        self.objects += 1
        if status != 200:
            self._add(f"{operation} {status}", faults(_ERROR, answer))
            return
        wanted = _DOCUMENT["requests"][operation]
        self._add(f"{operation} params", faults(wanted, typed(wanted, parse(text))))
        self._add(operation, faults(_DOCUMENT["answers"][operation], answer))
        for event in answer.get("data", []) if operation == "GET /v1/events" else []:
            if event["id"] not in self._seen_events:
                self._seen_events.add(event["id"])
                self.judge_event(event)

    def _add(self, where: str, found: list[str]) -> None:
        self.faults.extend(f"{where}: {each}" for each in found)


def _schema_of(about: Any) -> Any:
    name = about["object"]
    return {"$ref": f"#/components/schemas/{f'deleted_{name}' if about.get('deleted') else name}"}


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    names = sorted(_DOCUMENT["answers"], key=lambda name: name.replace("{", "~"))
    return [(name, re.compile(re.sub(r"\{\w+\}", "[^/]+", name))) for name in names]


def operation_of(request: str) -> str | None:
    """Return Stripe's name for what a request asks."""
    return next((name for name, pattern in _patterns() if pattern.fullmatch(request)), None)


def faults(schema: Any, instance: Any) -> list[str]:
    """Return where an object breaks a schema."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    return sorted({_told(error) for error in validator.iter_errors(instance)})


@functools.lru_cache(maxsize=512)
def _validator(schema: str) -> Draft202012Validator:
    absolute = json.loads(schema.replace('"#/components', f'"{_ROOT}#/components'))
    return Draft202012Validator(absolute, registry=_REGISTRY)


def _told(error: ValidationError) -> str:
    place = ".".join("*" if isinstance(step, int) else str(step) for step in error.absolute_path)
    deepest = max(_leaves(error), key=lambda each: len(each.absolute_path))
    inner = ".".join(map(str, deepest.absolute_path))
    return f"{place} breaks {error.validator} ({inner}: {deepest.message[-160:]})"


def _leaves(error: ValidationError) -> list[ValidationError]:
    inner: list[ValidationError] = [leaf for each in error.context or [] for leaf in _leaves(each)]
    return inner or [error]


def typed(schema: Any, given: Any) -> Any:
    """Return a form's texts with the types of a schema, as far as they can be read so."""
    for choice in schema.get("anyOf", [schema]):
        fitting = _read(choice, given)
        if fitting is not None:
            return fitting
    return given


def _read(schema: Any, given: Any) -> Any:
    kind = schema.get("type", "string")
    if isinstance(given, dict):
        readers = {"object": _object, "array": _array}
        return readers[kind](schema, given) if kind in readers else None
    if kind == "string":
        return given if given in schema.get("enum", [given]) else None
    is_read = {"integer": r"-?\d+", "number": r"-?\d+(\.\d+)?", "boolean": "true|false"}.get(kind, "(?!)")
    return json.loads(given) if re.fullmatch(is_read, given) else None


def _array(schema: Any, given: Tree) -> list[Any]:
    return [typed(schema["items"], given[key]) for key in sorted(given, key=int)]


def _object(schema: Any, given: Tree) -> Tree:
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    shapes = {name: known.get(name, others) for name in given}
    return {name: typed(shapes[name], each) if shapes[name] else each for name, each in given.items()}
