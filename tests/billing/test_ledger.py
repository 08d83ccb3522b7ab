"""The ledger: one journal per key, balanced, and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from accounts.models import Organization
from billing import ledger, partitions, settlement
from billing.models import Account, AccountCode, Journal, JournalKind, Posting
from tests.billing.cast import check_deferred, make_organization, usage

pytestmark = pytest.mark.django_db


def post(organization: Organization, key: str = "k1", amount: int = 500, **changes: Any) -> Journal:
    values: dict[str, Any] = {
        "key": key,
        "kind": JournalKind.GRANT,
        "legs": {AccountCode.PROMO_EXPENSE: amount, AccountCode.WALLET_PROMO: -amount},
        "organization": organization,
        "reason": "Test",
        "actor": "system",
    }
    return ledger.post(**{**values, **changes})


def test_a_journal_credits_the_organization_it_names(organization: Organization) -> None:
    journal = post(organization)

    assert ledger.legs_of(journal) == {AccountCode.PROMO_EXPENSE: 500, AccountCode.WALLET_PROMO: -500}
    assert ledger.credit_of(organization) == 500
    assert journal.is_new


def test_the_same_key_twice_writes_one_journal(organization: Organization) -> None:
    first, second = post(organization), post(organization)

    assert second.pk == first.pk
    assert not second.is_new
    assert ledger.credit_of(organization) == 500


@pytest.mark.parametrize(
    "change", [{"amount": 501}, {"kind": JournalKind.ADJUSTMENT}, {"organization": None}]
)
def test_a_key_with_another_content_is_refused(organization: Organization, change: dict[str, Any]) -> None:
    first = post(organization)

    if change == {"organization": None}:
        change = {"organization": make_organization("bob@example.org")}
    with pytest.raises(ledger.KeyReused) as refused:
        post(**{"organization": organization, **change})

    assert refused.value.first == first
    assert Posting.objects.count() == 2


def test_threads_that_post_one_key_at_once_write_one_journal(lasting_organization: Organization) -> None:
    def attempt(_: int) -> tuple[str, bool]:
        try:
            journal = post(lasting_organization)
        finally:
            connection.close()
        return journal.pk, journal.is_new

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(8)))

    assert len({pk for pk, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert ledger.credit_of(lasting_organization) == 500


def test_an_unbalanced_journal_fails_at_commit(lasting_organization: Organization) -> None:
    legs = {AccountCode.PROMO_EXPENSE: 500, AccountCode.WALLET_PROMO: -499}

    with pytest.raises(IntegrityError, match="out of balance by 1 nano-USD"):
        post(lasting_organization, legs=legs)

    assert not Journal.objects.exists()


def test_a_journal_without_postings_fails_at_commit(lasting_organization: Organization) -> None:
    with pytest.raises(IntegrityError, match="0 postings instead of 2"):
        Journal.objects.create(idempotency_key="k", kind="grant", legs=2, reason="", actor="system")


def test_a_journal_with_one_leg_is_refused(lasting_organization: Organization) -> None:
    with pytest.raises(IntegrityError, match="journal_two_legs"):
        post(lasting_organization, legs={AccountCode.PROMO_EXPENSE: 500})


def test_balanced_postings_cannot_join_an_old_journal(lasting_organization: Organization) -> None:
    journal = post(lasting_organization)
    codes = [AccountCode.BREAKAGE, AccountCode.ROUNDING]
    accounts = [Account.objects.create(organization=None, code=code) for code in codes]
    legs = zip(accounts, (7, -7), strict=True)
    late = [Posting(journal=journal, account=account, amount_nano=amount) for account, amount in legs]

    with pytest.raises(IntegrityError, match="4 postings instead of 2"):
        Posting.objects.bulk_create(late)


def test_a_journal_cannot_move_money_of_another_organization(lasting_organization: Organization) -> None:
    bob = make_organization("bob@example.org")
    theirs = Account.objects.create(organization=bob, code=AccountCode.WALLET_PAID)
    ours = Account.objects.create(organization=None, code=AccountCode.MANUAL_CLEARING)

    journal = Journal(
        idempotency_key="k",
        kind="top_up",
        organization=lasting_organization,
        legs=2,
        reason="",
        actor="system",
    )
    postings = [
        Posting(journal=journal, account=account, amount_nano=nano)
        for account, nano in ((theirs, -7), (ours, 7))
    ]

    with pytest.raises(IntegrityError, match="another organization"), transaction.atomic():
        _write(journal, postings)


def _write(journal: Journal, postings: list[Posting]) -> None:
    journal.save(force_insert=True)
    Posting.objects.bulk_create(postings)


TABLES = ["billing_journal", "billing_posting", "billing_usagerecord", "billing_usagerecord_default"]


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", [*TABLES, "a month's partition"])
def test_rows_of_the_ledger_and_of_usage_are_only_added(
    organization: Organization, table: str, statement: str
) -> None:
    post(organization)
    settlement.settle_batch([usage(organization)])
    check_deferred()
    if table == "a month's partition":
        partitions.prepare()
        with connection.cursor() as cursor:
            cursor.execute("SELECT tableoid::regclass::text FROM billing_usagerecord")
            table = cursor.fetchone()[0]
    column = "organization_id" if table != "billing_posting" else "amount_nano"

    with (
        pytest.raises(IntegrityError, match="is refused"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, column, column))


@pytest.fixture
def as_a_plain_role(transactional_db: None) -> Iterator[None]:
    """Be a role that may do everything to every table, and is neither their owner nor above the rules."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE fastanchor_plain NOSUPERUSER")
        cursor.execute("GRANT USAGE ON SCHEMA public TO fastanchor_plain")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO fastanchor_plain")
        cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO fastanchor_plain")
        cursor.execute("SET ROLE fastanchor_plain")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("DROP OWNED BY fastanchor_plain")
        cursor.execute("DROP ROLE fastanchor_plain")


def test_plain_sql_can_add_to_the_ledger_and_change_nothing_of_it(as_a_plain_role: None) -> None:
    post(make_organization())

    for table, column in (("billing_journal", "reason"), ("billing_posting", "amount_nano")):
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
        ):
            with pytest.raises(IntegrityError, match="is refused"):
                _run(statement)
    assert (Journal.objects.count(), Posting.objects.count()) == (1, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "ALTER TABLE billing_posting DISABLE TRIGGER ALL",
        "DROP TRIGGER billing_posting_append_only ON billing_posting",
        "CREATE OR REPLACE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ],
)
def test_a_plain_role_cannot_take_the_guards_away(as_a_plain_role: None, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        _run(statement)


def test_plain_sql_that_does_not_balance_fails_when_it_commits_and_not_before(as_a_plain_role: None) -> None:
    paid = Account.objects.create(organization=None, code=AccountCode.MANUAL_CLEARING)
    used = Account.objects.create(organization=None, code=AccountCode.USAGE_REVENUE)
    written: list[int] = []

    with pytest.raises(IntegrityError, match="out of balance by 1 nano-USD"), transaction.atomic():
        written += _insert({paid: 500, used: -499})

    assert (written, Journal.objects.count(), Posting.objects.count()) == ([500, -499], 0, 0)


def _insert(legs: dict[Account, int]) -> Iterator[int]:
    _run(
        "INSERT INTO billing_journal (id, idempotency_key, kind, legs, reason, actor, source_type, source_id,"
        " effective_at, created_at) VALUES ('jnl_1', 'k', 'usage', 2, '', 'sql', '', '', now(), now())"
    )
    for account, nano in legs.items():
        _run(
            f"INSERT INTO billing_posting (journal_id, account_id, amount_nano) VALUES ('jnl_1', {account.pk}, {nano})"
        )
        yield nano


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
