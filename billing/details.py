"""Billing details: who buys, as it stands on invoices and at Stripe.

What a member has typed on our page is the truth, and Stripe is told of it (``details_push``). Until somebody has, Stripe's
page asks whoever pays, and what is entered there is taken over with the payment.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit, organizations
from accounts.models import Organization
from billing import countries, tax_kinds
from billing.models import LONGEST, BillingDetails, TaxId
from billing.stripe_api.customers import Entered

logger = logging.getLogger(__name__)

MOST_TAX_IDS = 5
BY_STRIPE = "stripe"
_STATE_LAST = frozenset({"AU", "BR", "CA", "IN", "MX", "US"})


class TooManyTaxIds(Exception):
    """An organization has ``MOST_TAX_IDS`` at most."""


class UnknownTaxId(Exception):
    """The organization has no such tax id, or no longer."""


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; what is empty is not known."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys, as it is written on paper and kept with it."""

    name: str
    email: str
    address: list[str]
    tax_ids: list[list[str]]

    @classmethod
    def of(cls, organization: Organization) -> Buyer:
        """Return whom an organization is on paper now."""
        known = of(organization)
        tax_ids = TaxId.objects.filter(organization=organization).order_by("pk")
        return cls(
            name=known.name or organization.name,
            email=email_of(organization, known),
            address=lines_of(address_of(known)),
            tax_ids=[[tax_kinds.label_of(each.kind), each.value] for each in tax_ids],
        )


def of(organization: Organization) -> BillingDetails:
    """Return the billing details of an organization; empty ones where there are none."""
    known = BillingDetails.objects.filter(organization=organization).first()
    return known or BillingDetails(organization=organization)


def email_of(organization: Organization, known: BillingDetails) -> str:
    """Return the address that stands on documents, or nothing where nobody owns the organization."""
    try:
        return known.email or organizations.billing_email(organization)
    except organizations.NoOwner:
        return ""


def address_of(known: BillingDetails) -> Address:
    """Return the address in billing details."""
    return Address(known.line1, known.line2, known.city, known.state, known.postal_code, known.country)


def lines_of(address: Address) -> list[str]:
    """Return an address as it is written, line by line."""
    in_town = [address.postal_code, address.city, address.state]
    if address.country in _STATE_LAST:
        in_town = [address.city, address.state, address.postal_code]
    lines = [
        address.line1,
        address.line2,
        " ".join(filter(None, in_town)),
        countries.name_of(address.country),
    ]
    return [line for line in lines if line]


def is_ours(organization: Organization) -> bool:
    """Tell whether a member has typed the details here, so that Stripe's page need not ask."""
    return BillingDetails.objects.filter(organization=organization).exclude(actor=BY_STRIPE).exists()


def save(*, organization: Organization, name: str, email: str, address: Address, by: str) -> None:
    """Set whom invoices name from now on; those that are written stay as they are."""
    with transaction.atomic(durable=True):
        known = _lock(organization)
        _change(known, by=by, name=name, email=email, **asdict(address))
    _log("billing.details_saved", organization, by)


def add_tax_id(*, organization: Organization, kind: str, value: str, by: str) -> None:
    """Add a tax id as ``tax_kinds`` spells it, once; raises ``TooManyTaxIds``."""
    with transaction.atomic(durable=True):
        known = _lock(organization)
        if _add_tax_id(organization, kind, value):
            _change(known, by=by)
    _log("billing.tax_id_added", organization, by)


def remove_tax_id(*, organization: Organization, tax_id: int, by: str) -> None:
    """Remove a tax id; raises ``UnknownTaxId``."""
    with transaction.atomic(durable=True):
        known = _lock(organization)
        if not TaxId.objects.filter(organization=organization, pk=tax_id).delete()[0]:
            raise UnknownTaxId(tax_id)
        _change(known, by=by)
    _log("billing.tax_id_removed", organization, by)


def forget(organization: Organization) -> None:
    """Delete billing details and tax ids; the documents that are written stay as they are."""
    with transaction.atomic(durable=True):
        TaxId.objects.filter(organization=organization).delete()
        BillingDetails.objects.filter(organization=organization).delete()


def take_over(organization: Organization, entered: Entered | None) -> None:
    """Fill in what was entered on Stripe's page, unless a member has typed something here; nothing is taken away.

    In any case Stripe is told again what stands here, for its page has written over it.
    """
    known = _lock(organization)
    if known.actor != BY_STRIPE or entered is None:
        BillingDetails.objects.filter(pk=known.pk).update(revision=F("revision") + 1)
        return
    # Without a tax id the name is the card owner's, who need not be the buyer.
    fields = {"name": entered.name if entered.tax_ids else "", **entered.address}
    fresh = {name: _fitting(text, LONGEST[name]) for name, text in fields.items()}
    _add_spelled(organization, entered.tax_ids)
    _change(known, by=BY_STRIPE, **{name: text for name, text in fresh.items() if text})


def _lock(organization: Organization) -> BillingDetails:
    """Return the details of an organization, made at the first call, locked until the transaction ends."""
    BillingDetails.objects.bulk_create([BillingDetails(organization=organization)], ignore_conflicts=True)
    return BillingDetails.objects.select_for_update().get(organization=organization)


def _change(known: BillingDetails, *, by: str, **fields: str) -> None:
    for name, text in fields.items():
        setattr(known, name, text)
    known.actor, known.refusal, known.updated_at = by, "", timezone.now()
    known.revision += 1
    known.save()
    audit.record(
        "organization.billing_details_changed",
        subject=f"organization {known.organization_id}",
        organization_id=known.organization_id,
        after={"by": by},
    )


def _add_tax_id(organization: Organization, kind: str, value: str) -> bool:
    tax_ids = TaxId.objects.filter(organization=organization)
    if tax_ids.filter(kind=kind, value=value).exists():
        return False
    if tax_ids.count() >= MOST_TAX_IDS:
        raise TooManyTaxIds
    TaxId.objects.create(organization=organization, kind=kind, value=value)
    return True


def _add_spelled(organization: Organization, tax_ids: Iterable[tuple[str, str]]) -> None:
    """Add what Stripe's page took, whose kinds are more than ours; more than can be kept are left out."""
    for kind, typed in tax_ids:
        try:
            _add_tax_id(organization, kind, _spelled(kind, typed))
        except TooManyTaxIds:
            logger.warning("billing.tax_id_left_out", extra={"organization": organization.pk, "kind": kind})


def _spelled(kind: str, typed: str) -> str:
    try:
        return tax_kinds.KINDS[kind].read(typed)
    except (KeyError, tax_kinds.Misspelled):
        return _fitting(typed, LONGEST["tax_id"])


def _fitting(text: str, longest: int) -> str:
    """Return what another page has let through as it can be kept here."""
    return "".join(letter for letter in text if letter.isprintable())[:longest]


def _log(event: str, organization: Organization, by: str) -> None:
    logger.info(event, extra={"organization": organization.pk, "by": by})
