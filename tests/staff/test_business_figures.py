"""The figures of the business are the ledger's to the nano, whatever happened, in whichever order, and whenever it was added up."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from accounts.models import Organization
from billing import audit, business, ledger, ledger_days, served_days
from billing.ledger_days import Step
from billing.models import (
    AccountCode,
    Journal,
    JournalKind,
    LedgerDay,
    LedgerDelta,
    Posting,
    ServedDay,
    UsageRecord,
)
from billing.settlement import settle_batch
from tests.billing.cast import STARTED_AT_MS, make_organization, usage
from tests.staff.histories import DAYS, FIRST, live_through

pytestmark = pytest.mark.django_db

LAST = (FIRST + timedelta(days=DAYS)).date()
SINCE = FIRST.date() - timedelta(days=2)
CASH = {"stripe_clearing", "manual_clearing"}


def culprits() -> list[str]:
    [check] = [check for check in audit.stored_checks() if check.name == "I16"]
    return check.culprits


SLUGS = [*business.Period(SINCE).values]


def recomputed(*, of_month: bool = False) -> dict[date, dict[str, int]]:
    """Return the figures from all postings and records, one by one, by rules that are written here once more."""
    found: dict[date, Counter[str]] = {}
    for each in Posting.objects.select_related("journal", "account"):
        day = each.journal.effective_at.astimezone(UTC).date()
        sums = found.setdefault(day.replace(day=1) if of_month else day, Counter())
        kind, code, nano = each.journal.kind, each.account.code, each.amount_nano
        sums["revenue"] -= nano if code == "usage_revenue" else 0
        sums["promo_used"] += nano if (kind, code) == ("usage", "wallet_promo") else 0
        sums["promo_expense"] += nano if code == "promo_expense" else 0
        sums["expired"] -= nano if code == "breakage" else 0
        sums["cash_in"] += nano if kind == "top_up" and code in CASH else 0
        sums["refunds"] -= nano if kind in {"refund", "refund_failed"} and code in CASH else 0
        sums["disputes"] -= nano if kind == "dispute" and code in CASH else 0
        sums["fees"] += nano if code == "stripe_fees" else 0
        sums["write_offs"] += nano if code in {"dispute_loss", "rounding"} else 0
        sums["corrections"] += nano if kind == "correction" and code in CASH else 0
        sums["paid_balances"] -= nano if code == "wallet_paid" else 0
        sums["promo_balances"] -= nano if code == "wallet_promo" else 0
    for record in UsageRecord.objects.filter(is_own_key=False, cost_nano__gt=0):
        day = record.started_at.astimezone(UTC).date()
        sums = found.setdefault(day.replace(day=1) if of_month else day, Counter())
        sums["cost_at_list"] += record.cost_nano
        sums["cost"] += record.cost_nano
    running: Counter[str] = Counter()
    for _, sums in sorted(found.items()):
        for balance in ("paid_balances", "promo_balances"):
            running[balance] += sums[balance]
            sums[balance] = running[balance]
        sums["gross_margin"] = sums["revenue"] - sums["cost"]
        sums["margin"] = (
            sums["gross_margin"] + sums["expired"] - sums["promo_expense"] - sums["fees"] - sums["write_offs"]
        )
    return {start: {slug: sums[slug] for slug in SLUGS} for start, sums in found.items()}


@pytest.mark.parametrize("number", range(2))
def test_every_figure_of_every_day_and_month_is_that_of_all_postings(seed: int, number: int) -> None:
    live_through(seed * 100 + number, steps=30)

    days = business.report(first=SINCE, last=LAST, step=Step.DAY)
    months = business.report(first=SINCE, last=LAST, step=Step.MONTH)

    assert {each.start: each.values for each in days} == recomputed()
    assert {each.start: each.values for each in months} == recomputed(of_month=True)
    assert len(days) > DAYS // 2
    assert ledger_days.trial_balance() == 0
    assert culprits() == []


def test_adding_up_changes_no_figure_and_leaves_nothing_behind(seed: int) -> None:
    live_through(seed, steps=30)
    before = business.report(first=SINCE, last=LAST, step=Step.DAY)

    ledger_days.fold()

    assert LedgerDelta.objects.count() == 0
    assert business.report(first=SINCE, last=LAST, step=Step.DAY) == before
    assert ledger_days.fold() == 0
    assert culprits() == []


def test_a_range_that_begins_later_carries_the_balances_from_before(seed: int) -> None:
    live_through(seed, steps=30)
    whole = business.report(first=SINCE, last=LAST, step=Step.DAY)

    part = business.report(first=whole[2].start, last=LAST, step=Step.DAY)

    assert part == whole[2:]
    assert business.in_all(whole).values["paid_balances"] == whole[-1].values["paid_balances"]
    assert business.in_all(whole).values["revenue"] == sum(each.values["revenue"] for each in whole)


@pytest.mark.django_db(transaction=True)
def test_whoever_books_and_adds_up_at_once_nothing_is_lost_or_counted_twice() -> None:
    customers = [make_organization(f"user{number}@example.org") for number in range(4)]

    def book(number: int) -> None:
        try:
            for turn in range(10):
                legs = {AccountCode.PROMO_EXPENSE: 7, AccountCode.WALLET_PROMO: -7}
                ledger.post(
                    key=f"{number}:{turn}", kind=JournalKind.GRANT, legs=legs, organization=customers[number],
                    reason="", actor="system",
                )  # fmt: skip
                ledger_days.fold(most=3)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(book, range(4)))
    while ledger_days.fold():
        pass

    [granted] = LedgerDay.objects.filter(code="promo_expense")
    assert (granted.postings, granted.amount_nano) == (40, 280)
    assert culprits() == []


def test_what_is_rolled_back_is_in_no_figure(organization: Organization) -> None:
    with transaction.atomic():
        ledger.post(
            key="k", kind=JournalKind.GRANT, legs={AccountCode.PROMO_EXPENSE: 7, AccountCode.WALLET_PROMO: -7},
            organization=organization, reason="", actor="system",
        )  # fmt: skip
        assert LedgerDelta.objects.filter(amount_nano=7).exists()
        transaction.set_rollback(True)

    assert not Journal.objects.filter(idempotency_key="k").exists()
    assert not LedgerDelta.objects.filter(amount_nano=7).exists()


def test_a_nano_too_much_is_named_by_the_audit(organization: Organization) -> None:
    settle_batch([usage(organization)])
    LedgerDay.objects.create(day=date(2026, 11, 3), kind="usage", code="bank", postings=1, amount_nano=1)
    ServedDay.objects.update(cost_nano=1_001)

    ledgers, served = culprits()

    assert ledgers == "2026-11-03, usage on bank: 1 nano-USD of 1 postings summed up, booked 0 of 0"
    assert served.endswith("gpt-4o by openai: 1001 nano-USD of 1 requests summed up, records of 1000 and 1")


def test_what_older_shippers_did_not_count_is_counted_anew(organization: Organization) -> None:
    settle_batch([usage(organization)])
    ServedDay.objects.all().delete()
    day = datetime.fromtimestamp(STARTED_AT_MS / 1_000, UTC).date()

    assert len(served_days.recount(first=day, last=day, is_dry=True)) == 1
    call_command("usage_recount", "--from", day.isoformat(), "--to", day.isoformat())

    [served] = ServedDay.objects.values_list("day", "provider_id", "model_id", "requests", "cost_nano")
    assert served == (day, "openai", "gpt-4o", 1, 1_000)
    assert served_days.recount(first=day, last=day) == []
