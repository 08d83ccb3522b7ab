"""The tables of an installation can be taken back to an earlier version and forward again, with records in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts import keys
from accounts.models import Organization
from billing import audit, invoices, partitions, spending, topups
from billing.models import Invoice, LowBalanceAlert, ReconciliationItem, TopUp, UsageRecord, UsageSum
from billing.settlement import settle_batch
from fastanchor.lib.histogram import bucket_of
from tests.billing.cast import UNITS, failed, usage

pytestmark = pytest.mark.django_db


def test_the_units_can_be_taken_back_and_added_again(organization: Organization) -> None:
    settle_batch([usage(organization, request_id="req_1", **UNITS)])
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "billing", "0003", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM billing_usagerecord")
        columns = {column.name for column in cursor.description}
    call_command("migrate", "billing", verbosity=0)

    record = UsageRecord.objects.get()
    assert not columns & set(UNITS)
    assert (record.request_id, record.input_tokens) == ("req_1", 200)
    assert {getattr(record, name) for name in UNITS} == {0}


def test_failures_can_be_taken_back_as_requests_that_cost_nothing(organization: Organization) -> None:
    partitions.prepare(today=date(2031, 5, 1), months_ahead=0)
    in_may = int(datetime(2031, 5, 9, tzinfo=UTC).timestamp()) * 1_000
    settle_batch([failed(organization), failed(organization, attempts=0, started_at_ms=in_may)])
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "billing", "0010", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, attempts, cost_nano FROM billing_usagerecord ORDER BY started_at")
        kept = cursor.fetchall()
        cursor.execute("SELECT * FROM billing_usagerecord")
        columns = {column.name for column in cursor.description}
    call_command("migrate", "billing", verbosity=0)
    settle_batch([failed(organization), failed(organization, started_at_ms=in_may)])

    assert kept == [("free", 2, 0), ("free", 1, 0)]
    assert "attempts_made" not in columns
    assert sorted(UsageRecord.objects.values_list("outcome", flat=True)) == [
        "failed",
        "failed",
        "free",
        "free",
    ]
    assert all(check.ok for check in audit.run(wait_s=0) if check.name in {"I6", "I12"})


def test_automatic_top_ups_can_be_taken_back_and_added_again(organization: Organization) -> None:
    LowBalanceAlert.objects.create(organization=organization, threshold_cents=700)
    bought = TopUp.objects.create(organization=organization, amount_cents=500, source="checkout", actor="x")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "billing", "0006", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM billing_topup")
        columns = {column.name for column in cursor.description}
    call_command("migrate", "billing", verbosity=0)

    assert not columns & {"card_id", "failure_code"}
    assert TopUp.objects.get() == bought
    assert not LowBalanceAlert.objects.exists()


def test_what_keys_have_spent_is_kept_when_spending_is_taken_back_and_counted_again(
    organization: Organization,
) -> None:
    owner = organization.members.get()
    key, _ = keys.create(organization=organization, name="k", created_by=owner)
    now, long_ago = timezone.now(), timezone.now() - timedelta(days=60)
    settle_batch(
        [
            usage(organization, key_id=key.pk, started_at_ms=int(at.timestamp() * 1_000))
            for at in (now, now, long_ago)
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    before = spending.of_subjects(organization.pk, [key.pk, organization.pk, f"user_{owner.pk}"], now)

    call_command("migrate", "billing", "0007", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT key_id, month, cost_nano FROM billing_keyspend ORDER BY month")
        kept = cursor.fetchall()
    call_command("migrate", "billing", verbosity=0)

    assert kept == [(key.pk, f"{long_ago:%Y%m}", 1_000), (key.pk, f"{now:%Y%m}", 2_000)]
    after = spending.of_subjects(organization.pk, [key.pk, organization.pk, f"user_{owner.pk}"], now)
    assert after == before
    assert {(one.day_nano, one.lifetime_nano) for one in after.subjects} == {(2_000, 3_000)}
    assert all(check.ok for check in audit.stored_checks() if check.name == "I3")


def test_what_staff_has_settled_can_be_taken_back_and_added_again(organization: Organization) -> None:
    item = ReconciliationItem.objects.create(
        kind="cash_missing", subject="txn_1", ours="o", theirs="t", missing_nano=5
    )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "billing", "0008", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM billing_reconciliationitem")
        columns = {column.name for column in cursor.description}
    call_command("migrate", "billing", verbosity=0)

    item.refresh_from_db()
    assert "missing_nano" not in columns
    assert (item.subject, item.missing_nano, item.runs.count()) == ("txn_1", None, 0)


def test_invoices_can_be_taken_back_and_are_written_again(organization: Organization) -> None:
    topups.record_top_up(organization=organization, cents=500, key="wire", actor="test")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "billing", "0009", verbosity=0)
    tables = connection.introspection.table_names()
    call_command("migrate", "billing", verbosity=0)
    written = invoices.write_all()

    assert "billing_invoice" not in tables
    assert (written, Invoice.objects.get().amount_cents) == (1, 500)


def test_histograms_can_be_taken_back_as_arrays_and_packed_again(organization: Organization) -> None:
    settle_batch([usage(organization), usage(organization, first_token_ms=-1)])
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    kept = [(each.took, each.first_token) for each in UsageSum.objects.order_by("pk")]

    call_command("migrate", "billing", "0015", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT took, first_token FROM billing_usagesum ORDER BY id")
        arrays = cursor.fetchall()
    call_command("migrate", "billing", verbosity=0)

    whole, first = bucket_of(900), bucket_of(300)
    assert arrays == [([0] * whole + [2], [0] * first + [1])] * 2
    assert kept == [(each.took, each.first_token) for each in UsageSum.objects.order_by("pk")]
