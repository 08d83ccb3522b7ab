"""The ledger by day (UTC), kind of journal and account: what the figures of the business are read from.

The database notes what is booked with the postings themselves; ``fold`` adds that up. Both are read together, so the sums
are those of the postings at every moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from enum import StrEnum

from django.db import connection, transaction
from django.db.models import Sum

from billing.models import AccountCode, JournalKind, LedgerDay, LedgerDelta

Booked = dict[tuple[JournalKind, AccountCode], int]

# One transaction folds no more.
MOST_FOLDED = 50_000
_COLUMNS = ("day", "kind", "code", "amount_nano")
# A row that another run is folding is left to it.
_FOLD = """
WITH gone AS (
    DELETE FROM billing_ledgerdelta WHERE id IN (
        SELECT id FROM billing_ledgerdelta ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING day, kind, code, postings, amount_nano
), added AS (
    INSERT INTO billing_ledgerday AS kept (day, kind, code, postings, amount_nano)
    SELECT day, kind, code, sum(postings)::bigint, sum(amount_nano)::bigint FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (day, kind, code) DO UPDATE SET
        postings = kept.postings + EXCLUDED.postings, amount_nano = kept.amount_nano + EXCLUDED.amount_nano
)
SELECT count(*) FROM gone
"""
_SUMS = """
SELECT date_trunc(%s, day::timestamp)::date, kind, code, sum(amount_nano)::bigint
FROM (SELECT day, kind, code, amount_nano FROM billing_ledgerday WHERE day BETWEEN %s AND %s
      UNION ALL SELECT day, kind, code, amount_nano FROM billing_ledgerdelta WHERE day BETWEEN %s AND %s) AS booked
GROUP BY 1, 2, 3 ORDER BY 1
"""
_BALANCES = """
SELECT code, sum(amount_nano)::bigint
FROM (SELECT day, code, amount_nano FROM billing_ledgerday WHERE day < %s
      UNION ALL SELECT day, code, amount_nano FROM billing_ledgerdelta WHERE day < %s) AS booked
GROUP BY 1
"""
# All sums against all postings, for the audit.
DIFFERING = """
SELECT format('%s, %s on %s: %s nano-USD of %s postings summed up, booked %s of %s', day, kind, code,
              coalesce(kept.nano, 0), coalesce(kept.postings, 0), coalesce(booked.nano, 0),
              coalesce(booked.postings, 0)) AS culprit
FROM (SELECT day, kind, code, sum(postings) AS postings, sum(amount_nano) AS nano
      FROM (SELECT day, kind, code, postings, amount_nano FROM billing_ledgerday
            UNION ALL SELECT day, kind, code, postings, amount_nano FROM billing_ledgerdelta) AS kept
      GROUP BY 1, 2, 3) AS kept
FULL JOIN (SELECT (journal.effective_at AT TIME ZONE 'UTC')::date AS day, kind, code, count(*)::numeric AS postings,
                  sum(amount_nano) AS nano
           FROM billing_posting posting JOIN billing_journal journal ON journal.id = posting.journal_id
           JOIN billing_account account ON account.id = posting.account_id GROUP BY 1, 2, 3) AS booked
    USING (day, kind, code)
WHERE (kept.postings, kept.nano) IS DISTINCT FROM (booked.postings, booked.nano)
"""


class Step(StrEnum):
    """How long one line of figures is."""

    DAY = "day"
    MONTH = "month"


def fold(*, most: int = MOST_FOLDED) -> int:
    """Add up what was booked since the last time; returns the number of rows. Safe twice and in parallel."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_FOLD, [most])
        return int(cursor.fetchone()[0])


def sums(*, first: date, last: date, step: Step) -> dict[date, Booked]:
    """Return what was booked in each day or month, by its first day; a month that is cut counts what is in range."""
    found: dict[date, Booked] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [step.value, first, last, first, last])
        for start, kind, code, nano in cursor.fetchall():
            found.setdefault(start, {})[JournalKind(kind), AccountCode(code)] = nano
    return found


def balances(*, before: date) -> dict[AccountCode, int]:
    """Return what stood on each account when a day began, in nano-USD, debit positive."""
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, [before, before])
        return {AccountCode(code): nano for code, nano in cursor.fetchall()}


async def by_day(*, first: date, last: date) -> AsyncIterator[tuple[date, Booked]]:
    """Yield what was booked on each day that has something, oldest first, of a range of any length."""
    present: date | None = None
    booked: Booked = {}
    within = {"day__gte": first, "day__lte": last}
    folded = LedgerDay.objects.filter(**within).values(*_COLUMNS)
    fresh = LedgerDelta.objects.filter(**within).values(*_COLUMNS)
    async for row in folded.union(fresh, all=True).order_by("day").aiterator():
        if present is not None and row["day"] != present:
            yield present, booked
            booked = {}
        present = row["day"]
        leg = (JournalKind(row["kind"]), AccountCode(row["code"]))
        booked[leg] = booked.get(leg, 0) + row["amount_nano"]
    if present is not None:
        yield present, booked


def first_day() -> date | None:
    """Return the first day on which anything was booked."""
    folded = LedgerDay.objects.order_by("day").values_list("day", flat=True).first()
    fresh = LedgerDelta.objects.order_by("day").values_list("day", flat=True).first()
    return min((day for day in (folded, fresh) if day is not None), default=None)


def trial_balance() -> int:
    """Return the sum of all that was ever booked, which is zero."""
    parts = (model.objects.aggregate(nano=Sum("amount_nano"))["nano"] for model in (LedgerDay, LedgerDelta))
    return sum(int(part or 0) for part in parts)
