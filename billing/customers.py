"""Organizations as customers of Stripe."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import organizations
from accounts.models import Organization
from billing import backoff
from billing.models import PaymentMethod, StripeCustomer
from billing.stripe_api import customers as at_stripe, payments


def customer_of(organization: Organization) -> StripeCustomer:
    """Return the organization's customer, made at Stripe at the first call; raises the errors of ``stripe_api.client``."""
    known = StripeCustomer.objects.filter(organization=organization, deleted_at=None).first()
    return known or _create(organization)


def forget(customer: StripeCustomer) -> None:
    """Note that a customer is gone from Stripe, and its cards with it; the next top-up makes another.

    The wallet stays as it is, and the automatic top-up is off.
    """
    now = timezone.now()
    with transaction.atomic():
        if not StripeCustomer.objects.filter(pk=customer.pk, deleted_at=None).update(deleted_at=now):
            return
        PaymentMethod.objects.filter(customer=customer, removed_at=None).update(
            removed_at=now, is_default=False
        )
        backoff.switch_off(customer.organization, why="Your saved cards are gone from Stripe.")


def remove(organization: Organization) -> None:
    """Delete an organization's customer at Stripe, its cards and tax ids with it; raises the errors of ``stripe_api.client``.

    Its payments stay there, as they must; again it does nothing.
    """
    for customer in StripeCustomer.objects.filter(organization=organization, deleted_at=None):
        at_stripe.delete(customer.stripe_id)
        forget(customer)


def _create(organization: Organization) -> StripeCustomer:
    # The number makes a new key after each deletion; two calls at once have the same, and so the same customer.
    number = StripeCustomer.objects.filter(organization=organization).count() + 1
    stripe_id = payments.create_customer(
        organization_id=organization.pk,
        name=organization.name,
        email=organizations.billing_email(organization),
        key=f"customer:{organization.pk}:{number}",
    )
    with transaction.atomic():
        customer, _ = StripeCustomer.objects.get_or_create(
            stripe_id=stripe_id, defaults={"organization": organization}
        )
    return customer
