"""What happens by itself once its time has come."""

from __future__ import annotations

from collections.abc import Callable

from fastanchor.local.fakestripe import checkout, completing, paying, payouts, refunds
from fastanchor.local.fakestripe.world import World


def run(world: World) -> bool:
    """Do what is due; says whether anything was."""
    due = world.take_due()
    for what, object_id in due:
        # Nobody asked for it: events tell of no request.
        world.request_id = world.idempotency_key = None
        _DEEDS[what](world, object_id)
    return bool(due)


def settle_payment(world: World, intent_id: str) -> bool:
    """Let a payment that is under way arrive; says whether it was under way."""
    intent = world.get("payment_intent", intent_id)
    was_waiting = paying.settle(world, intent)
    if was_waiting:
        completing.payment_settled(world, intent, has_succeeded=True)
    return was_waiting


def fail_payment(world: World, intent_id: str) -> bool:
    """Let a payment that is under way come to nothing; says whether it was under way."""
    intent = world.get("payment_intent", intent_id)
    was_waiting = paying.fail(world, intent)
    if was_waiting:
        completing.payment_settled(world, intent, has_succeeded=False)
    return was_waiting


def _expire(world: World, session_id: str) -> None:
    checkout.end(world, world.get("checkout.session", session_id))


_DEEDS: dict[str, Callable[[World, str], object]] = {
    "settle": settle_payment,
    "fail": fail_payment,
    "session_expires": _expire,
    "payout_arrives": payouts.arrive,
    "refund_succeeds": lambda world, refund_id: refunds.succeed(world, world.get("refund", refund_id)),
    "refund_fails": lambda world, refund_id: refunds.fail(world, world.get("refund", refund_id)),
}
