"""Who a customer is at Stripe: name, e-mail, address, tax ids; and what somebody entered of it on Stripe's page."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import stripe

from billing.stripe_api.client import UnknownObject, client, translated

if TYPE_CHECKING:
    from stripe.params import CustomerTaxIdCreateParams, CustomerUpdateParams, CustomerUpdateParamsAddress

ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")


@dataclass(frozen=True, slots=True)
class TaxIdSeen:
    """A tax id as Stripe has it."""

    id: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Entered:
    """What whoever paid entered on Stripe's page; the name is the card owner's where there is no tax id."""

    name: str
    address: Mapping[str, str]
    tax_ids: tuple[tuple[str, str], ...]


def describe(*, customer_id: str, name: str, email: str, address: Mapping[str, str]) -> None:
    """Tell Stripe who a customer is; the address has all of ``ADDRESS``, empty where nothing is known."""
    told: CustomerUpdateParams = {"name": name, "address": _told(address)}
    if email:
        told["email"] = email
    with translated():
        customers = client().v1.customers
        after = customers.update(customer_id, told)
        if address_of(after.address) != dict(address):
            # Stripe has kept a part of the old address.
            customers.update(customer_id, {"address": ""})
            customers.update(customer_id, told)


def _told(address: Mapping[str, str]) -> CustomerUpdateParamsAddress | Literal[""]:
    known = {name: text for name, text in address.items() if text}
    return cast("CustomerUpdateParamsAddress", known) if known else ""


def tax_ids_of(customer_id: str) -> list[TaxIdSeen]:
    """Return a customer's tax ids; raises ``UnknownObject`` for a customer that was deleted."""
    with translated():
        listed = client().v1.customers.tax_ids.list(customer_id, {"limit": 100})
        return [TaxIdSeen(each.id, each.type, each.value) for each in listed.auto_paging_iter()]


def add_tax_id(*, customer_id: str, kind: str, value: str) -> None:
    """Add a tax id to a customer; raises ``StripeRefused`` for one that cannot be."""
    params = cast("CustomerTaxIdCreateParams", {"type": kind, "value": value})
    with translated():
        client().v1.customers.tax_ids.create(customer_id, params)


def remove_tax_id(*, customer_id: str, tax_id: str) -> None:
    """Remove a tax id from a customer; one that was removed before stays so."""
    with suppress(UnknownObject), translated():
        client().v1.customers.tax_ids.delete(customer_id, tax_id)


def delete(customer_id: str) -> None:
    """Delete a customer with its cards and tax ids for good; one that was deleted before stays so."""
    with suppress(UnknownObject), translated():
        client().v1.customers.delete(customer_id)


def entered_with(intent_id: str) -> Entered | None:
    """Return what was entered on the page by which a payment was made; nothing for one without a page."""
    with translated():
        found = client().v1.checkout.sessions.list({"payment_intent": intent_id, "limit": 1}).data
    details = found[0].customer_details if found else None
    if details is None:
        return None
    return Entered(
        name=str(getattr(details, "business_name", None) or details.name or ""),
        address=address_of(details.address),
        tax_ids=tuple((each.type, each.value) for each in details.tax_ids or [] if each.value),
    )


def address_of(given: stripe.StripeObject | None) -> dict[str, str]:
    """Return an address of Stripe's with all its parts, empty where nothing is known."""
    return {name: str(getattr(given, name, None) or "") for name in ADDRESS}
