"""Telling Stripe who its customers are: what was saved here is sent until Stripe has it, whatever has failed before.

A customer's row is locked while Stripe is told, so that an older revision never comes last; each customer remembers the
revision it was told, so that a new one, or one whose answer was lost, is told again.
"""

from __future__ import annotations

import logging
from dataclasses import asdict

from django.db import transaction
from django.db.models import F, QuerySet

from billing import customers, details
from billing.models import BillingDetails, StripeCustomer, TaxId
from billing.stripe_api import customers as at_stripe
from billing.stripe_api.client import StripeRefused, StripeUnavailable, UnknownObject

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100
# One customer with whom Stripe has trouble must not keep the others waiting, a Stripe that is away should.
_MOST_FAILURES = 3
# What is wrong with our key and not with what the customer has typed.
_OUR_FAULT = frozenset({"AuthenticationError", "PermissionError"})


def push_due() -> int:
    """Tell Stripe of all that has changed; returns how many customers it was about. Raises ``StripeUnavailable``."""
    told, failures = 0, 0
    for pk in list(_due().values_list("pk", flat=True)[:MOST_AT_ONCE]):
        try:
            told += _push(pk)
        except StripeUnavailable:
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            logger.warning("billing.details_not_told", extra={"customer": pk}, exc_info=True)
    return told


def _due() -> QuerySet[StripeCustomer]:
    known = StripeCustomer.objects.filter(
        deleted_at=None, organization__billing_details__revision__gt=F("details_revision")
    )
    return known.order_by("pk")


def _push(pk: int) -> int:
    with transaction.atomic(durable=True):
        # Without its key: cards may be saved meanwhile.
        due = _due().select_for_update(of=("self",), no_key=True, skip_locked=True)
        customer = due.select_related("organization").filter(pk=pk).first()
        if customer is None:
            return 0
        known = details.of(customer.organization)
        try:
            _tell(customer, known)
        except UnknownObject:
            customers.forget(customer)
            return 0
        customer.details_revision = known.revision
        customer.save(update_fields=["details_revision"])
    return 1


def _tell(customer: StripeCustomer, known: BillingDetails) -> None:
    organization = customer.organization
    known.refusal = ""
    try:
        at_stripe.describe(
            customer_id=customer.stripe_id,
            name=known.name or organization.name,
            email=details.email_of(organization, known),
            address=asdict(details.address_of(known)),
        )
    except StripeRefused as exc:
        known.refusal = _reason(exc)
    BillingDetails.objects.filter(pk=known.pk, revision=known.revision).update(refusal=known.refusal)
    _match_tax_ids(customer)


def _match_tax_ids(customer: StripeCustomer) -> None:
    """Bring Stripe's tax ids of a customer to ours; what Stripe refuses is noted with its reason."""
    ours = {
        (each.kind, each.value): each for each in TaxId.objects.filter(organization=customer.organization)
    }
    theirs = {(each.kind, each.value): each for each in at_stripe.tax_ids_of(customer.stripe_id)}
    for pair in theirs.keys() - ours.keys():
        at_stripe.remove_tax_id(customer_id=customer.stripe_id, tax_id=theirs[pair].id)
    for pair in sorted(ours.keys() - theirs.keys()):
        TaxId.objects.filter(pk=ours[pair].pk).update(refusal=_refusal(customer, *pair))


def _refusal(customer: StripeCustomer, kind: str, value: str) -> str:
    try:
        at_stripe.add_tax_id(customer_id=customer.stripe_id, kind=kind, value=value)
    except StripeRefused as exc:
        return _reason(exc)
    return ""


def _reason(exc: StripeRefused) -> str:
    """Return why Stripe refuses what was typed; raises ``StripeUnavailable`` where that is not its reason."""
    if isinstance(exc, UnknownObject):
        raise exc
    if exc.code in _OUR_FAULT:
        raise StripeUnavailable(exc.code) from exc
    return (exc.message or exc.code)[:300]
