"""A drawn history of the business over some days: everything that can happen to money, booked by the product's own code."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from unittest import mock

from django.utils import timezone

from accounts.models import Organization
from billing import adjustments, drafts, grants, ledger, ledger_days, partitions, posting, topups
from billing.attempts import AttemptMade
from billing.models import AccountCode, JournalKind, LotKind, Refund, TopUp, Wallet
from billing.settlement import settle_batch
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization, usage

FIRST = datetime(2026, 10, 29, tzinfo=UTC)
DAYS = 6
_OURS = [AccountCode.BANK, AccountCode.STRIPE_FEES, AccountCode.STRIPE_RESERVE, AccountCode.DISPUTE_LOSS]

# Asked first, the model's own provider failed; another served.
OTHER = (
    AttemptMade("openai", "chan_1", 503, "upstream_error", 40),
    AttemptMade("azure", "chan_2", 200, "", 3),
)


def live_through(seed: int, *, steps: int) -> list[Organization]:
    """Let ``steps`` things happen on some days over the end of a month; returns the customers."""
    draw = random.Random(seed)
    partitions.prepare(today=FIRST.date())
    customers = [make_organization(f"{new_id('user')}@example.org") for _ in range(2)]
    moments = sorted(FIRST + timedelta(seconds=draw.randrange(DAYS * 86_400)) for _ in range(steps))
    for moment in moments:
        with mock.patch.object(timezone, "now", return_value=moment):
            draw.choice(_HAPPENINGS)(draw, draw.choice(customers), moment)
            if draw.random() < 0.2:
                ledger_days.fold(most=draw.randrange(1, 50))
    return customers


def _use(draw: random.Random, customer: Organization, moment: datetime) -> None:
    at_ms = int(moment.timestamp() * 1_000)
    cost = draw.randrange(10**9)
    batch = [
        usage(
            customer,
            started_at_ms=at_ms,
            finished_at_ms=at_ms + 10,
            cost_nano=cost,
            cost_picos=cost * 1_000,
            hold_nano=cost,
            model_id=draw.choice(["gpt-4o", "gpt-5.4"]),
            attempts_made=draw.choice([(), OTHER]),
            attempts=2,
        ),
        usage(
            customer,
            started_at_ms=at_ms,
            finished_at_ms=at_ms,
            cost_nano=0,
            cost_picos=0,
            is_own_key=True,
        ),
    ]
    settle_batch(batch)
    # Twice delivered, counted once.
    settle_batch(batch[:1])


def _post(draw: random.Random, customer: Organization, moment: datetime) -> None:
    posting.post_usage()


def _grant(draw: random.Random, customer: Organization, moment: datetime) -> None:
    grants.grant(
        organization=customer,
        amount_nano=draw.randrange(1, 10**9),
        reason="",
        key=new_id("k"),
        actor="system",
        kind=draw.choice([LotKind.PROMO, LotKind.ADJUSTMENT]),
        expires_at=draw.choice([None, moment + timedelta(hours=draw.randrange(1, 60))]),
    )


def _expire(draw: random.Random, customer: Organization, moment: datetime) -> None:
    posting.expire_lots(now=moment)


def _top_up(draw: random.Random, customer: Organization, moment: datetime) -> None:
    topups.record_top_up(
        organization=customer, cents=draw.randrange(1, 10_000), key=new_id("k"), actor="system"
    )


def _take(draw: random.Random, customer: Organization, moment: datetime) -> None:
    wallet, _ = Wallet.objects.get_or_create(organization=customer)
    wallet.refresh_from_db()
    if wallet.balance_nano > 0:
        draft = adjustments.take(
            organization=customer,
            amount_nano=draw.randrange(1, wallet.balance_nano + 1),
            reason="Test",
            key=new_id("k"),
            actor="system",
        )
        drafts.book(draft, shown=drafts.show(draft))


def _stripe(draw: random.Random, customer: Organization, moment: datetime) -> None:
    """Book, as Stripe's sync and staff do, what takes cash or moves it between accounts; some of it late."""
    kind = draw.choice(
        [JournalKind.DISPUTE, JournalKind.STRIPE, JournalKind.CORRECTION, JournalKind.WRITE_OFF]
    )
    nano = draw.randrange(1, 10**10) * draw.choice([1, -1])
    side = AccountCode.WALLET_PAID if kind not in {JournalKind.STRIPE, JournalKind.CORRECTION} else None
    other = AccountCode.DISPUTE_LOSS if kind == JournalKind.WRITE_OFF else AccountCode.STRIPE_CLEARING
    ledger.post(
        key=new_id("k"),
        kind=kind,
        legs={side or draw.choice(_OURS): nano, other: -nano},
        organization=customer if side else None,
        reason="Test",
        actor="system",
        effective_at=moment - timedelta(hours=draw.randrange(30)),
    )


def _refund(draw: random.Random, customer: Organization, moment: datetime) -> None:
    """Book a payment and its way back, which may fail."""
    cents = draw.randrange(1, 1_000)
    paid = topups.record_top_up(organization=customer, cents=cents, key=new_id("k"), actor="system")
    top_up = TopUp.objects.create(
        organization=customer,
        amount_cents=cents,
        source="checkout",
        actor="x",
        journal=paid,
        status="succeeded",
    )
    refund = Refund.objects.create(top_up=top_up, amount_cents=cents, actor="x")
    nano = cents_to_nanos(cents)
    for kind, sign in ((JournalKind.REFUND, 1), (JournalKind.REFUND_FAILED, -1))[: draw.randrange(1, 3)]:
        ledger.post(
            key=f"{kind}:{refund.pk}",
            kind=kind,
            legs={AccountCode.WALLET_PAID: sign * nano, AccountCode.STRIPE_CLEARING: -sign * nano},
            organization=customer,
            reason="Test",
            actor="system",
            source=("refund", refund.pk),
        )


_HAPPENINGS = [_use, _use, _use, _post, _post, _grant, _expire, _top_up, _take, _stripe, _stripe, _refund]
