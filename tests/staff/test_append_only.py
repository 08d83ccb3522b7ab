"""Usage, the ledger, invoices and the audit log are only added to: PostgreSQL itself refuses everything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, models, transaction

from accounts.audit_entry import AuditEntry
from bench import crowd
from billing.models import Invoice, Journal, Posting, UsageRecord

KEPT: tuple[type[models.Model], ...] = (UsageRecord, Journal, Posting, Invoice, AuditEntry)
pytestmark = pytest.mark.django_db


def tables_of(model: type[models.Model]) -> list[str]:
    """Return a table and its partitions, which can be written to by their own names."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table]
        )
        return [table, *(row[0] for row in cursor.fetchall())]


def changes(model: type[models.Model], table: str) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        yield f'UPDATE "{table}" SET "{field.column}" = "{field.column}" WHERE true'
    yield f'DELETE FROM "{table}" WHERE true'
    yield f'TRUNCATE "{table}"'
    yield f'TRUNCATE "{table}" CASCADE'


@pytest.fixture
def written(db: None) -> dict[type[models.Model], int]:
    """Let each of them have rows, in the partition of this month."""
    for model in KEPT:
        crowd.fill_with_its_own(model, 2)
    return dict.fromkeys(KEPT, 2)


@pytest.mark.parametrize("model", KEPT, ids=lambda model: model.__name__)
def test_postgresql_refuses_to_change_or_delete_what_was_written(
    written: dict[type[models.Model], int], model: type[models.Model]
) -> None:
    passed, refusals = [], set()
    for table in tables_of(model):
        for change in changes(model, table):
            # Of each field alone the same value is written: the audit log lets only an address be taken out.
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(change)
                    passed += [change] if cursor.rowcount or change.startswith("TRUNCATE") else []
                    transaction.set_rollback(True)
            except DatabaseError as exc:
                refusals.add(str(exc).splitlines()[0])

    assert passed == []
    assert all("refused" in each or "referenced in a foreign key" in each for each in refusals), refusals
    assert model._default_manager.count() == written[model]


def test_an_upsert_is_refused_as_well(written: dict[type[models.Model], int]) -> None:
    row = Journal.objects.first()
    assert row is not None

    with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
        Journal.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["id"], update_fields=["reason"]
        )
