"""Customers, Checkout, payments, refunds and disputes at Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import stripe

from billing.stripe_api.client import StripeRefused, client, translated

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams


@dataclass(frozen=True, slots=True)
class Session:
    """A visit to Stripe's page; ``intent_id`` is its payment and ``setup_id`` its saving of a card, once there is one."""

    id: str
    url: str
    status: str
    intent_id: str
    setup_id: str


@dataclass(frozen=True, slots=True)
class RefundSeen:
    """A refund as Stripe has it: ``refund_id`` is our own id where we asked for it, ``has_moved`` that cash left."""

    id: str
    status: str
    amount_cents: int
    refund_id: str
    has_moved: bool


@dataclass(frozen=True, slots=True)
class Movement:
    """One balance transaction: what it moved and what Stripe kept, in cents."""

    id: str
    kind: str
    amount_cents: int
    fee_cents: int
    currency: str
    created_at: int
    source_id: str
    # The payment it belongs to, where its source was told with it.
    intent_id: str


@dataclass(frozen=True, slots=True)
class DisputeSeen:
    """A dispute as Stripe has it; an inquiry has no movements."""

    id: str
    status: str
    reason: str
    amount_cents: int
    opened_at: int
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment intent with everything that ever came of it; ``top_up_id`` is our own id from its metadata."""

    id: str
    status: str
    currency: str
    received_cents: int
    top_up_id: str
    customer_id: str
    failure: str
    failure_code: str
    receipt_url: str
    charged: Movement | None
    refunds: tuple[RefundSeen, ...]
    disputes: tuple[DisputeSeen, ...]


def create_customer(*, organization_id: str, name: str, email: str, key: str) -> str:
    """Create a customer and return its id."""
    with translated():
        made = client().v1.customers.create(
            {"name": name, "email": email, "metadata": {"organization": organization_id}},
            {"idempotency_key": key},
        )
    return made.id


def open_checkout(
    *, customer_id: str, top_up_id: str, cents: int, expires_at: int, urls: Mapping[str, str], asks_who: bool
) -> Session:
    """Open Stripe's page for a top-up; ``urls`` has ``success`` and ``cancel``. Twice is the same page.

    With ``asks_who`` it also asks for the buyer's tax id and keeps what it learns with the customer.
    """
    marks = {"top_up": top_up_id}
    params: SessionCreateParams = {
        "mode": "payment",
        "customer": customer_id,
        "client_reference_id": top_up_id,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": cents,
                    "product_data": {"name": "FastAnchor credit"},
                },
            }
        ],
        "metadata": marks,
        "payment_intent_data": {"metadata": marks, "description": "FastAnchor credit"},
        "billing_address_collection": "auto",
        "success_url": urls["success"],
        "cancel_url": urls["cancel"],
        "expires_at": expires_at,
    }
    # A customer that was deleted at Stripe is succeeded by another, and then these are other words.
    key = f"checkout:{top_up_id}:{customer_id}"
    if asks_who:
        params["customer_update"] = {"address": "auto", "name": "auto"}
        params["tax_id_collection"] = {"enabled": True}
        key += ":who"
    with translated():
        return _session(client().v1.checkout.sessions.create(params, {"idempotency_key": key}))


def find_session(session_id: str) -> Session:
    """Return a visit to Stripe's page; raises ``UnknownObject``."""
    with translated():
        return _session(client().v1.checkout.sessions.retrieve(session_id))


def _session(session: stripe.checkout.Session) -> Session:
    return Session(
        id=session.id,
        url=session.url or "",
        status=session.status or "",
        intent_id=thing_id(session.payment_intent),
        setup_id=thing_id(session.setup_intent),
    )


def close_checkout(session_id: str) -> None:
    """Close Stripe's page; one that is paid or closed stays as it is."""
    with suppress(StripeRefused), translated():
        client().v1.checkout.sessions.expire(session_id)


def refund(*, intent_id: str, cents: int, refund_id: str) -> RefundSeen:
    """Pay back a part of a payment; the same ``refund_id`` twice is the same refund. Raises ``StripeRefused``."""
    with translated():
        made = client().v1.refunds.create(
            {"payment_intent": intent_id, "amount": cents, "metadata": {"refund": refund_id}},
            {"idempotency_key": f"refund:{refund_id}"},
        )
    return _refund(made)


def find_payment(intent_id: str) -> Payment:
    """Return a payment as it is now, with its refunds and disputes; raises ``UnknownObject``."""
    api = client().v1
    with translated():
        intent = api.payment_intents.retrieve(intent_id, {"expand": ["latest_charge.balance_transaction"]})
        refunds = [_refund(each) for each in api.refunds.list(_of(intent_id)).auto_paging_iter()]
        disputes = [_dispute(each) for each in api.disputes.list(_of(intent_id)).auto_paging_iter()]
    charge, refusal = _charge(intent), intent.last_payment_error
    return Payment(
        id=intent.id,
        status=intent.status,
        currency=intent.currency,
        received_cents=intent.amount_received,
        top_up_id=_mark(intent.metadata, "top_up"),
        customer_id=thing_id(intent.customer),
        failure=_told(refusal, "message"),
        failure_code=_told(refusal, "decline_code", "code"),
        receipt_url=(charge.receipt_url or "") if charge else "",
        charged=_charged(charge),
        refunds=tuple(refunds),
        disputes=tuple(disputes),
    )


def find_intents(top_up_id: str) -> list[str]:
    """Return the payments that bear a top-up's id, newest first; Stripe's search is a minute behind."""
    with translated():
        found = client().v1.payment_intents.search(
            {"query": f"metadata['top_up']:'{top_up_id}'", "limit": 10}
        )
    return [intent.id for intent in found.data]


def _of(intent_id: str) -> stripe.params.RefundListParams:
    return {"payment_intent": intent_id, "limit": 100}


def _charge(intent: stripe.PaymentIntent) -> stripe.Charge | None:
    charge = intent.latest_charge
    return charge if isinstance(charge, stripe.Charge) else None


def _charged(charge: stripe.Charge | None) -> Movement | None:
    booked = charge.balance_transaction if charge else None
    # A payment by bank has none before it has arrived.
    return movement(booked) if isinstance(booked, stripe.BalanceTransaction) else None


def movement(booked: stripe.BalanceTransaction) -> Movement:
    """Return a balance transaction in our words."""
    return Movement(
        id=booked.id,
        kind=booked.type,
        amount_cents=booked.amount,
        fee_cents=booked.fee,
        currency=booked.currency,
        created_at=booked.created,
        source_id=thing_id(booked.source),
        intent_id=thing_id(getattr(booked.source, "payment_intent", None)),
    )


def _refund(refund: stripe.Refund) -> RefundSeen:
    return RefundSeen(
        id=refund.id,
        status=refund.status or "",
        amount_cents=refund.amount,
        refund_id=_mark(refund.metadata, "refund"),
        has_moved=refund.balance_transaction is not None,
    )


def _dispute(dispute: stripe.Dispute) -> DisputeSeen:
    return DisputeSeen(
        id=dispute.id,
        status=dispute.status,
        reason=dispute.reason,
        amount_cents=dispute.amount,
        opened_at=dispute.created,
        movements=tuple(movement(each) for each in dispute.balance_transactions),
    )


def _told(error: object, *names: str) -> str:
    """Return the first of some fields that an error has: what it has nothing to say about, Stripe leaves out of it."""
    return next((str(value) for name in names if (value := getattr(error, name, None))), "")


def _mark(metadata: stripe.StripeObject | None, name: str) -> str:
    return str(metadata[name]) if metadata and name in metadata else ""


def thing_id(thing: object) -> str:
    """Return the id of an object that may be expanded, or only its id, or nothing."""
    if thing is None or isinstance(thing, str):
        return thing or ""
    return str(getattr(thing, "id", ""))
