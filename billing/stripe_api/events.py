"""Events: what Stripe tells of by webhook or when it is asked."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import stripe

from billing.stripe_api.client import client, translated

# How far the clock of a webhook's sender may be off, into the past or the future, in seconds.
TOLERANCE_S = 300

# What can change money, cards or customers here; the webhook endpoint at Stripe should be asked for the same.
KINDS = (
    "charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn", "charge.dispute.updated", "charge.refund.updated", "charge.refunded",
    "charge.succeeded", "charge.updated", "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded", "checkout.session.completed", "checkout.session.expired",
    "customer.deleted", "payment_intent.canceled", "payment_intent.payment_failed", "payment_intent.processing",
    "payment_intent.requires_action", "payment_intent.succeeded", "payment_method.attached",
    "payment_method.automatically_updated", "payment_method.detached", "payment_method.updated", "payout.canceled",
    "payout.created", "payout.failed", "payout.paid", "refund.created", "refund.failed", "refund.updated",
    "setup_intent.succeeded",
)  # fmt: skip
# Stripe takes no more kinds in one listing.
_KINDS_AT_ONCE = 20
_TIME = re.compile(r"(?:^|,)\s*t=(\d{1,12})(?:,|$)")


class BadSignature(Exception):
    """Stripe did not send this, or not just now."""


@dataclass(frozen=True, slots=True)
class EventSeen:
    """What an event says: that something about these objects has changed, no more."""

    id: str
    kind: str
    created_at: int
    intent_id: str
    session_id: str
    # The customer whose saved cards it is about.
    customer_id: str
    payout_id: str = ""


def verified(*, body: bytes, signature: str, secrets: Sequence[str]) -> EventSeen:
    """Return the event in a webhook's body; raises ``BadSignature`` unless one of the secrets has signed it just now."""
    stamp = _TIME.search(signature)
    if stamp is None or abs(time.time() - int(stamp[1])) > TOLERANCE_S:
        raise BadSignature
    if not any(_is_signed(body, signature, secret) for secret in secrets):
        raise BadSignature
    # Signed by Stripe: what it holds need not be doubted, only its age.
    return _seen(stripe.Event.construct_from(json.loads(body), None))


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_S)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def since(moment: int) -> Iterator[EventSeen]:
    """Return the events of the ``KINDS`` from a time on (seconds since 1970); Stripe keeps them for 30 days."""
    for start in range(0, len(KINDS), _KINDS_AT_ONCE):
        kinds = list(KINDS[start : start + _KINDS_AT_ONCE])
        with translated():
            listed = client().v1.events.list({"created": {"gte": moment}, "types": kinds, "limit": 100})
            yield from map(_seen, listed.auto_paging_iter())


def _seen(event: stripe.Event) -> EventSeen:
    about = event.data.object
    kind, own_id = _text(about, "object"), _text(about, "id")
    return EventSeen(
        id=event.id,
        kind=event.type,
        created_at=event.created,
        intent_id=own_id if kind == "payment_intent" else _text(about, "payment_intent"),
        session_id=own_id if kind == "checkout.session" else "",
        customer_id=_customer_of_cards(event),
        payout_id=own_id if kind == "payout" else "",
    )


def _customer_of_cards(event: stripe.Event) -> str:
    about = event.data.object
    kind = _text(about, "object")
    if kind == "customer":
        return _text(about, "id")
    if kind in {"payment_method", "setup_intent"} or _text(about, "setup_intent"):
        # A card that was removed tells only what it was before.
        return _text(about, "customer") or _text(getattr(event.data, "previous_attributes", None), "customer")
    return ""


def _text(about: object, name: str) -> str:
    """Return a field, or the id of the object that stands there; empty where there is none."""
    found = getattr(about, name, None)
    return found if isinstance(found, str) else str(getattr(found, "id", ""))
