"""Disputes: chargebacks take the money at once, inquiries take none; both end one day."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe import balance
from fastanchor.local.fakestripe.calls import Call, update
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400
_TEXTS = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
]
# What an evidence of Stripe's tests decides.
_VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}
# What may become of a chargeback, and of an inquiry.
_NEXT = {
    False: {"needs_response", "under_review", "won", "lost"},
    True: {"warning_needs_response", "warning_under_review", "warning_closed"},
}
ENDED = {"won", "lost", "warning_closed"}


def open_one(world: World, charge: Obj, *, kind: str = "fraudulent", amount: int | None = None) -> Obj:
    """Open a dispute about a charge; the kind ``inquiry`` asks first and moves no money."""
    is_inquiry = kind == "inquiry"
    reason = "fraudulent" if is_inquiry else kind
    dispute = world.add(
        "dispute",
        amount=amount or charge["amount"],
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence={**dict.fromkeys(_TEXTS), "enhanced_evidence": {}},
        evidence_details={
            "due_by": world.now() + 9 * _DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        is_charge_refundable=is_inquiry,
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method_details=_details(charge, is_inquiry=is_inquiry),
        reason=reason,
        status="warning_needs_response" if is_inquiry else "needs_response",
    )
    charge["disputed"] = True
    if is_inquiry:
        world.emit("charge.dispute.created", dispute)
    else:
        _withdraw(world, dispute)
        world.emit("charge.dispute.created", dispute)
        world.emit("charge.dispute.funds_withdrawn", dispute)
    world.emit("charge.updated", charge, {"disputed": False})
    return dispute


def _details(charge: Obj, *, is_inquiry: bool) -> Obj:
    brand = (charge["payment_method_details"].get("card") or {}).get("brand", "visa")
    card = {
        "brand": brand,
        "case_type": "inquiry" if is_inquiry else "chargeback",
        "network": brand,
        "network_reason_code": "83",
    }
    return {"card": card, "type": "card"}


def _withdraw(world: World, dispute: Obj) -> None:
    row = balance.book(
        world,
        dispute,
        kind="adjustment",
        amount=-dispute["amount"],
        fee=balance.DISPUTE_FEE,
        category="dispute",
        description=f"Chargeback withdrawal for {dispute['charge']}",
    )
    dispute["balance_transactions"].append(row)


def escalate(world: World, dispute: Obj) -> bool:
    """Turn an inquiry into a chargeback; says whether it was an open inquiry."""
    if not dispute["status"].startswith("warning_") or dispute["status"] in ENDED:
        return False
    before = dispute["status"]
    dispute["status"], dispute["is_charge_refundable"] = "needs_response", False
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    _withdraw(world, dispute)
    world.emit("charge.dispute.updated", dispute, {"status": before})
    world.emit("charge.dispute.funds_withdrawn", dispute)
    return True


def decide(world: World, dispute: Obj, status: str) -> bool:
    """Move a dispute to a status; says whether that was possible."""
    if dispute["status"] in ENDED or status not in _NEXT[dispute["status"].startswith("warning_")]:
        return False
    before, dispute["status"] = dispute["status"], status
    if status not in ENDED:
        world.emit("charge.dispute.updated", dispute, {"status": before})
        return True
    if status == "won":
        row = balance.book(
            world,
            dispute,
            kind="adjustment",
            amount=dispute["amount"],
            category="dispute_reversal",
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(row)
        world.emit("charge.dispute.funds_reinstated", dispute)
    world.emit("charge.dispute.closed", dispute, {"status": before})
    return True


def end_inquiries(world: World, charge: Obj) -> None:
    """Close what a bank asked about a charge whose money went back."""
    for dispute in list(world.newest_first("dispute")):
        if dispute["charge"] == charge["id"] and dispute["status"].startswith("warning_"):
            decide(world, dispute, "warning_closed")


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/disputes/{dispute}``."""
    return call.object_in_path("dispute", "dispute")


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/disputes``."""
    return page(
        call, where(call, call.world.newest_first("dispute"), "charge", "payment_intent"), "/v1/disputes"
    )


def change(call: Call) -> Obj:
    """Answer ``POST /v1/disputes/{dispute}``: evidence, and with ``submit`` the issuer's answer to it."""
    world, dispute = call.world, _open(call)
    previous = update(call, dispute, ("metadata",))
    evidence: Any = call.params.get("evidence") or {}
    if evidence:
        previous["evidence"] = dispute["evidence"]
        texts = {name: value or None for name, value in evidence.items() if name in _TEXTS}
        dispute["evidence"] = {**dispute["evidence"], **texts}
        dispute["evidence_details"]["has_evidence"] = True
    if evidence and call.params.get("submit", True):
        dispute["evidence_details"]["submission_count"] += 1
        before = dispute["status"]
        is_inquiry = before.startswith("warning_")
        dispute["status"] = "warning_under_review" if is_inquiry else "under_review"
        previous["status"] = before
    world.emit("charge.dispute.updated", dispute, previous)
    verdict = _VERDICTS.get(evidence.get("uncategorized_text", ""))
    if verdict:
        is_inquiry = dispute["status"].startswith("warning_")
        decide(world, dispute, "warning_closed" if is_inquiry else verdict)
    return dispute


def close(call: Call) -> Obj:
    """Answer ``POST /v1/disputes/{dispute}/close``: give in."""
    dispute = _open(call)
    is_inquiry = dispute["status"].startswith("warning_")
    decide(call.world, dispute, "warning_closed" if is_inquiry else "lost")
    return dispute


def _open(call: Call) -> Obj:
    dispute = call.object_in_path("dispute", "dispute")
    if dispute["status"] in ENDED:
        raise StripeError("This dispute is already closed", code=None)
    return dispute
