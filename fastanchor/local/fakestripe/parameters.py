"""Reads a request's form as Stripe's own document types it, and refuses what the document does not know."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.form import Tree

Shape = dict[str, Any]

_TYPES_ENDED = "payment_method_types"
_TYPES_BEGUN = "allowed_payment_method_types"
_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@functools.cache
def api() -> dict[str, Any]:
    """Return what ``api.json`` holds."""
    content: dict[str, Any] = json.loads(Path(__file__).with_name("api.json").read_text(encoding="utf-8"))
    return content


def read(operation: str, tree: Tree, *, is_endive: bool) -> dict[str, Any]:
    """Return the parameters of an operation by name, typed; raises ``StripeError``."""
    shape = _resolved(api()["operations"].get(operation, {}))
    if not shape:
        return tree
    _refuse_types_of_other_versions(shape, tree, is_endive=is_endive)
    values: dict[str, Any] = _object(shape, tree, "")
    return values


def _resolved(shape: Any) -> Shape:
    found: Shape = api()["shapes"][shape["$ref"]] if "$ref" in shape else shape
    return found


def _refuse_types_of_other_versions(shape: Shape, tree: Tree, *, is_endive: bool) -> None:
    if _TYPES_BEGUN not in shape["properties"]:
        return
    if is_endive and _TYPES_ENDED in tree:
        message = (
            "The `payment_method_types` parameter is no longer supported. Use dynamic payment methods, "
            "`allowed_payment_method_types` or `excluded_payment_method_types` instead."
        )
        raise invalid(message, param=_TYPES_ENDED, code="payment_method_types_no_longer_supported")
    if not is_endive and _TYPES_BEGUN in tree:
        raise _unknown([_TYPES_BEGUN])


def _value(shape: Any, given: Any, param: str) -> Any:
    shape = _resolved(shape)
    if "anyOf" in shape:
        return _first_that_fits(shape["anyOf"], given, param)
    match shape.get("type"):
        case "object":
            return _object(shape, given, param)
        case "array":
            return _array(shape, given, param)
        case "integer" | "number" | "boolean":
            return _scalar(shape["type"], given, param)
        case _:
            return _text(shape, given, param)


def _first_that_fits(shapes: list[Shape], given: Any, param: str) -> Any:
    refusal: StripeError | None = None
    for shape in shapes:
        try:
            return _value(shape, given, param)
        except StripeError as exc:
            # The first choice is the full one; the others are mostly the empty text that unsets.
            refusal = refusal or exc
    assert refusal is not None
    raise refusal


def _object(shape: Shape, given: Any, param: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise invalid("Invalid object", param=param)
    properties, others = shape.get("properties", {}), shape.get("additionalProperties")
    if unknown := [name for name in given if name not in properties and not others]:
        raise _unknown([_inside(param, name) for name in unknown])
    for name in shape.get("required", []):
        if name not in given:
            missing = _inside(param, name)
            raise invalid(f"Missing required param: {missing}.", param=missing, code="parameter_missing")
    # An empty value takes a key of a map away.
    return {
        name: _value(properties.get(name) or others, each, _inside(param, name))
        if each != "" or name in properties
        else ""
        for name, each in given.items()
    }


def _unknown(names: list[str]) -> StripeError:
    plural = "s" if len(names) > 1 else ""
    message = f"Received unknown parameter{plural}: {', '.join(names)}"
    return invalid(message, param=names[0], code="parameter_unknown")


def _inside(param: str, name: str) -> str:
    return f"{param}[{name}]" if param else name


def _array(shape: Shape, given: Any, param: str) -> list[Any]:
    if not isinstance(given, dict) or not all(name.isdecimal() for name in given):
        raise invalid("Invalid array", param=param)
    ordered = sorted(given.items(), key=lambda pair: int(pair[0]))
    return [_value(shape["items"], each, _inside(param, name)) for name, each in ordered]


def _scalar(kind: str, given: Any, param: str) -> int | bool | str:
    text = given if isinstance(given, str) else ""
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    # A number stays a text: what has a fraction is never a sum of money here.
    if kind == "number" and _NUMBER.fullmatch(text):
        return text
    code = "parameter_invalid_integer" if kind == "integer" else None
    raise invalid(f"Invalid {kind}: {text}", param=param, code=code)


def _text(shape: Shape, given: Any, param: str) -> str:
    if not isinstance(given, str):
        raise invalid("Invalid string: must be a string", param=param)
    choices = shape.get("enum")
    if choices is not None and given not in choices:
        raise invalid(f"Invalid {param}: must be one of {_listed(choices)}", param=param)
    if not given and choices is None:
        message = (
            f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty value."
        )
        raise invalid(message, param=param, code="parameter_invalid_empty")
    longest = shape.get("maxLength")
    if longest and len(given) > longest:
        message = f"Invalid string: {given[:8]}...{given[-4:]}; must be at most {longest} characters"
        raise invalid(message, param=param, code="parameter_invalid_string_too_long")
    return given


def _listed(choices: list[str]) -> str:
    if len(choices) == 1:
        return choices[0]
    return f"{', '.join(choices[:-1])}{',' if len(choices) > 2 else ''} or {choices[-1]}"
