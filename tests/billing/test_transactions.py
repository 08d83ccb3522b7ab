"""What people read of the ledger: each line's balance is exact, wherever the reading begins."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization
from billing import ledger, months, transactions, wallets
from billing.models import AccountCode, Journal, JournalKind
from billing.months import Month
from billing.settlement import settle_batch
from fastanchor.lib.ids import new_id
from tests.billing.cast import make_organization, usage

LAST_YEAR = timezone.now().astimezone(UTC).year - 1


def at(month: int, day: int, hour: int = 12, second: int = 0) -> datetime:
    return datetime(LAST_YEAR, month, day, hour, 0, second, tzinfo=UTC)


def move(
    organization: Organization, moment: datetime, nano: int, kind: JournalKind = JournalKind.TOP_UP
) -> Journal:
    """Move the balance at a moment of the past."""
    other = AccountCode.USAGE_REVENUE if kind == JournalKind.USAGE else AccountCode.MANUAL_CLEARING
    with transaction.atomic():
        wallet = wallets.lock(organization)
        journal = ledger.post(
            key=new_id("test"),
            kind=kind,
            legs={AccountCode.WALLET_PAID: -nano, other: nano},
            organization=organization,
            reason="Test",
            actor="test",
            effective_at=moment,
        )
        wallets.change(wallet, balance_by=nano)
    return journal


def use(organization: Organization, moment: datetime, nano: int) -> None:
    move(organization, moment, -nano, JournalKind.USAGE)


def test_usage_of_a_day_in_utc_is_one_line_and_all_else_stands_by_itself(organization: Organization) -> None:
    bought = move(organization, at(3, 1), 1_000)
    for hour in (0, 9, 23):
        use(organization, at(3, 2, hour), 7)
    use(organization, at(3, 3, 0), 1)
    again = move(organization, at(3, 3, 1), 500)

    found = transactions.lines(organization=organization, start=at(3, 1, 0), end=at(4, 1, 0))

    assert [(line.id, line.amount_nano, line.balance_nano) for line in found] == [
        (again.pk, 500, 1_478),
        (f"usage-{LAST_YEAR}-03-03", -1, 978),
        (f"usage-{LAST_YEAR}-03-02", -21, 979),
        (bought.pk, 1_000, 1_000),
    ]


def test_a_stretch_begins_with_its_first_moment_and_ends_before_its_last(organization: Organization) -> None:
    for moment in (at(2, 28, 23, 59), at(3, 1, 0), at(3, 31, 23, 59), at(4, 1, 0)):
        move(organization, moment, 10)

    found = transactions.lines(organization=organization, start=at(3, 1, 0), end=at(4, 1, 0))

    assert [line.balance_nano for line in found] == [30, 20]


def test_what_is_used_and_not_booked_yet_changes_no_line(organization: Organization) -> None:
    move(organization, at(3, 1), 5_000)
    settle_batch([usage(organization)])

    [line] = transactions.lines(organization=organization, start=at(3, 1, 0), end=at(4, 1, 0))

    assert wallets.of(organization).balance_nano == 4_000
    assert (
        line.balance_nano
        == 5_000
        == transactions.balance_at(organization=organization, moment=timezone.now())
    )


def test_another_s_money_is_in_no_sum(organization: Organization) -> None:
    move(make_organization("bob@example.org"), at(3, 1), 5_000)
    start, end = at(1, 1, 0), at(12, 31, 0)

    assert transactions.lines(organization=organization, start=start, end=end) == []
    assert transactions.sums(organization=organization, start=start, end=end) == {}
    assert transactions.balance_at(organization=organization, moment=at(12, 31)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_each_month_ends_with_the_balance_that_the_next_begins_with(
    organization: Organization, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        moment = at(1, 1, 0) + timedelta(seconds=chance.randrange(180 * 86_400))
        if chance.random() < 0.5:
            use(organization, moment, chance.randrange(1, 10**12))
        else:
            move(organization, moment, chance.randrange(1, 10**12))

    balance = 0
    for month in reversed(list(months.between(Month(LAST_YEAR, 1), Month(LAST_YEAR, 7)))):
        start, end = month.start, month.end
        assert transactions.balance_at(organization=organization, moment=start) == balance
        found = transactions.lines(organization=organization, start=start, end=end)
        balance += sum(line.amount_nano for line in found)
        sums = transactions.sums(organization=organization, start=start, end=end)
        assert sum(sums.values()) == sum(line.amount_nano for line in found)
        assert [line.balance_nano for line in found[:1]] in ([], [balance])

    assert balance == ledger.credit_of(organization) == wallets.of(organization).balance_nano


def test_a_month_costs_the_same_number_of_queries_whatever_is_in_it(
    organization: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for day in range(1, 29):
        move(organization, at(3, day), 10)
        use(organization, at(3, day), 1)

    with django_assert_max_num_queries(6):
        found = transactions.lines(organization=organization, start=at(3, 1, 0), end=at(4, 1, 0))

    assert len(found) == 56


@pytest.mark.parametrize("kind", JournalKind)
def test_every_kind_of_movement_has_words(kind: JournalKind) -> None:
    if kind != JournalKind.STRIPE:
        assert transactions.words_of(kind, 1)


def test_a_dispute_is_named_by_its_direction() -> None:
    assert transactions.words_of(JournalKind.DISPUTE, -1) == "Payment disputed at its bank"
    assert transactions.words_of(JournalKind.DISPUTE, 1) == "Disputed payment, back in the balance"
