"""Monthly partitions of usage records: made ahead of time, with a default partition so that no row is ever refused."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

TABLE = "billing_usagerecord"
MONTHS_AHEAD = 3


def prepare(
    *,
    months_ahead: int = MONTHS_AHEAD,
    today: date | None = None,
    database: BaseDatabaseWrapper | None = None,
) -> list[str]:
    """Create the partitions of this month and of ``months_ahead`` more; returns the names of the new ones."""
    first = (today or datetime.now(UTC).date()).replace(day=1)
    starts = [first]
    for _ in range(months_ahead):
        starts.append(_next_month(starts[-1]))
    using = database or connection
    return [name for start in starts if (name := _prepare_month(using, start)) is not None]


def _next_month(start: date) -> date:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _prepare_month(database: BaseDatabaseWrapper, start: date) -> str | None:
    name = f"{TABLE}_{start:%Y%m}"
    begin, end = f"{start:%Y-%m-%d} 00:00+00", f"{_next_month(start):%Y-%m-%d} 00:00+00"
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        # Settlement must not queue for long behind the lock on the default partition: try again tomorrow.
        cursor.execute("SET LOCAL lock_timeout = '3s'")
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TABLE])
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if cursor.fetchone()[0]:
            return None
        # A month that began without its partition lives in the default one for good: nothing is lost by it.
        cursor.execute(
            "SELECT EXISTS (SELECT FROM billing_usagerecord_default WHERE started_at >= %s AND started_at < %s)",
            [begin, end],
        )
        if cursor.fetchone()[0]:
            logger.warning("partitions.month_stays_in_default", extra={"partition": name})
            return None
        cursor.execute(_CREATE.format(name=name, table=TABLE, begin=begin, end=end))
    return name


# Statement triggers are not inherited by partitions, so each gets its own.
_CREATE = """
CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}');
"""
