"""Money that goes back: by our will, by the bank's, and on the way by accident."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.fakestripe.buying import charge_now, kinds_of
from tests.fakestripe.running import RunningStripe


def test_a_charge_is_refunded_in_parts_and_no_further(client: stripe.StripeClient) -> None:
    intent = charge_now(client, cents=1_000)
    parts = [client.v1.refunds.create({"payment_intent": intent.id, "amount": cents}) for cents in (300, 300)]

    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 401})
    rest = client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent.id})

    charge = client.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["refunds"]})
    assert refused.value.code == "charge_already_refunded"
    assert [each.amount for each in (*parts, rest)] == [300, 300, 400]
    assert (charge.refunded, charge.amount_refunded) == (True, 1_000)
    assert charge.refunds is not None
    assert [each.id for each in charge.refunds.data] == [rest.id, parts[1].id, parts[0].id]
    moved = client.v1.balance_transactions.list({"type": "refund"}).data
    assert [(each.amount, each.fee) for each in moved] == [(-400, 0), (-300, 0), (-300, 0)]
    assert kinds_of(client).count("charge.refunded") == 3


def test_a_refund_may_fail_although_it_had_succeeded(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    intent = charge_now(client, cents=1_000)
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 400})

    fake.order(f"refunds/{refund.id}", {"status": "failed"})
    failed = client.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})

    back: Any = failed.failure_balance_transaction
    assert (refund.status, failed.status, failed.failure_reason) == (
        "succeeded",
        "failed",
        "lost_or_stolen_card",
    )
    assert (back.amount, back.type) == (400, "refund_failure")
    assert client.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == 0
    assert kinds_of(client)[-3:] == ["charge.refund.updated", "refund.updated", "refund.failed"]


def test_some_cards_settle_their_refunds_later(fake: RunningStripe, client: stripe.StripeClient) -> None:
    made = [
        client.v1.refunds.create({"payment_intent": charge_now(client, card).id})
        for card in ("pm_card_pendingRefund", "pm_card_refundFail")
    ]

    fake.order("clock", {"advance_s": 61})

    assert [each.status for each in made] == ["pending", "succeeded"]
    assert [client.v1.refunds.retrieve(each.id).status for each in made] == ["succeeded", "failed"]


def test_a_chargeback_takes_the_money_and_a_fee(fake: RunningStripe, client: stripe.StripeClient) -> None:
    intent = charge_now(client, "pm_card_createDispute", cents=1_000)
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent.id})
    fake.order(f"disputes/{dispute.id}", {"status": "won"})
    won = client.v1.disputes.retrieve(dispute.id)

    assert refused.value.code == "charge_disputed"
    assert (dispute.status, dispute.is_charge_refundable) == ("needs_response", False)
    assert [(each.amount, each.fee) for each in dispute.balance_transactions] == [(-1_000, 1_500)]
    assert won.status == "won"
    assert [each.amount for each in won.balance_transactions] == [-1_000, 1_000]
    told = kinds_of(client)
    assert [kind for kind in told if kind.startswith("charge.dispute")] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


def test_a_lost_chargeback_gives_nothing_back(fake: RunningStripe, client: stripe.StripeClient) -> None:
    intent = charge_now(client)
    opened = fake.order("disputes", {"payment_intent": intent.id, "amount": 500})

    fake.order(f"disputes/{opened['id']}", {"status": "lost"})
    again = fake.order(f"disputes/{opened['id']}", {"status": "won"})

    lost = client.v1.disputes.retrieve(opened["id"])
    assert again == {"changed": False}
    assert (lost.status, [each.amount for each in lost.balance_transactions]) == ("lost", [-500])


def test_an_inquiry_moves_nothing_until_it_becomes_a_chargeback(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    intent = charge_now(client, "pm_card_createDisputeInquiry", cents=1_000)
    inquiry = client.v1.disputes.list().data[0]

    assert (inquiry.status, inquiry.is_charge_refundable) == ("warning_needs_response", True)
    assert inquiry.balance_transactions == []
    assert client.v1.balance_transactions.list({"type": "adjustment"}).data == []
    assert client.v1.refunds.create({"payment_intent": intent.id, "amount": 100}).status == "succeeded"
    assert fake.order(f"disputes/{inquiry.id}", {"status": "won"}) == {"changed": False}

    fake.order(f"disputes/{inquiry.id}", {"status": "escalated"})

    dispute = client.v1.disputes.retrieve(inquiry.id)
    assert (dispute.status, len(dispute.balance_transactions)) == ("needs_response", 1)


def test_an_inquiry_ends_when_the_money_goes_back(client: stripe.StripeClient) -> None:
    intent = charge_now(client, "pm_card_createDisputeInquiry")

    client.v1.refunds.create({"payment_intent": intent.id})

    assert client.v1.disputes.list().data[0].status == "warning_closed"


def test_evidence_decides_as_in_stripes_own_tests(client: stripe.StripeClient) -> None:
    for words, status in (("winning_evidence", "won"), ("losing_evidence", "lost")):
        charge_now(client, "pm_card_createDispute")
        dispute = client.v1.disputes.list().data[0]

        client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": words}})

        assert client.v1.disputes.retrieve(dispute.id).status == status
