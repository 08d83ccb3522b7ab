"""Indexes of the lists of staff, made while everybody goes on writing.

PostgreSQL cannot make an index of a partitioned table that way: each partition gets its own, and then they are joined.
"""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from psycopg import sql

from fastanchor.lib.quiet_indexes import AddIndexQuietly

TABLE = "billing_usagerecord"
OF_RECORDS = {
    "usage_by_outcome": "(outcome, request_id) WHERE outcome <> 'completed'",
    "usage_estimated": "(request_id) WHERE is_estimated",
}


def add(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make both indexes, or what is missing of them after a run that was broken off."""
    for name, what in OF_RECORDS.items():
        with editor.connection.cursor() as cursor:
            _add(cursor, name, sql.SQL(what), is_atomic=editor.connection.in_atomic_block)


def _add(cursor, name, what, *, is_atomic):
    table, index = sql.Identifier(TABLE), sql.Identifier(name)
    cursor.execute(sql.SQL("CREATE INDEX IF NOT EXISTS {} ON ONLY {} {}").format(index, table, what))
    cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [TABLE])
    for (partition,) in cursor.fetchall():
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
            " WHERE inhparent = %s::regclass AND indrelid = %s::regclass)",
            [name, partition],
        )
        if cursor.fetchone()[0]:
            continue
        part = sql.Identifier(f"{partition.removeprefix(TABLE)}_{name}"[1:])
        # One that was broken off is not valid, and would be taken for done.
        cursor.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(part))
        how = sql.SQL("" if is_atomic else "CONCURRENTLY")
        cursor.execute(
            sql.SQL("CREATE INDEX {} {} ON {} {}").format(how, part, sql.Identifier(partition), what)
        )
        cursor.execute(sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(index, part))


def remove(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop both, and so those of the partitions."""
    with editor.connection.cursor() as cursor:
        for name in OF_RECORDS:
            cursor.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name)))


class Migration(migrations.Migration):
    """Adds what the lists are filtered and ordered by."""

    atomic = False
    dependencies = [("billing", "0023_credit_proposals")]
    operations = [
        AddIndexQuietly(
            model_name="creditlot",
            index=models.Index(fields=["organization", "-id"], name="lot_by_organization"),
        ),
        AddIndexQuietly(
            model_name="stripeevent",
            index=models.Index(fields=["-received_at", "-stripe_id"], name="stripe_event_newest"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[
                migrations.AddIndex(
                    model_name="usagerecord",
                    index=models.Index(
                        fields=["outcome", "request_id"],
                        condition=~models.Q(outcome="completed"),
                        name="usage_by_outcome",
                    ),
                ),
                migrations.AddIndex(
                    model_name="usagerecord",
                    index=models.Index(
                        fields=["request_id"], condition=models.Q(is_estimated=True), name="usage_estimated"
                    ),
                ),
            ],
        ),
    ]
