"""What API version 2026-10-28.endive changed after the document that Stripe published last: dahlia of 2026-08-26."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_FORM = "application/x-www-form-urlencoded"
_TYPED = (
    "/v1/payment_intents",
    "/v1/payment_intents/{intent}",
    "/v1/payment_intents/{intent}/confirm",
    "/v1/setup_intents",
    "/v1/setup_intents/{intent}",
    "/v1/setup_intents/{intent}/confirm",
    "/v1/checkout/sessions",
)


def overlay(document: Json) -> None:
    """Add what is new in place; which of the two lists of types a caller may send is for the fake to say."""
    kinds = _form(document, "/v1/payment_intents")["properties"]["excluded_payment_method_types"]
    items = next(each["items"] for each in kinds.get("anyOf", [kinds]) if "items" in each)
    for path in _TYPED:
        properties = _form(document, path)["properties"]
        properties.setdefault("payment_method_types", {"type": "array", "items": {"type": "string"}})
        properties["allowed_payment_method_types"] = {"type": "array", "items": items}
    disputes = _form(document, "/v1/disputes/{dispute}")["properties"]
    disputes["intended_submission_method"] = {"type": "string"}
    for path in ("/v1/customers", "/v1/customers/{customer}"):
        _form(document, path)["properties"]["validate"] = {"type": "boolean"}


def _form(document: Json, path: str) -> Json:
    form: Json = document["paths"][path]["post"]["requestBody"]["content"][_FORM]["schema"]
    return form
