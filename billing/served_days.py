"""What providers served by day (UTC) and model: the charged cost of requests, by who really served them.

It moves in the transaction that inserts the records. A model's own provider is not always the one that served: the last
attempt tells. What a customer's own key paid for is nobody's cost but the customer's, and is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from billing.spool import Usage

_EPOCH = date(1970, 1, 1)
_DAY_MS = 24 * 3_600_000
_ADD = """
INSERT INTO billing_servedday AS kept (day, provider_id, model_id, requests, cost_nano)
SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
    AS new (day, provider_id, model_id, requests, cost_nano) ORDER BY 1, 2, 3
ON CONFLICT (day, provider_id, model_id) DO UPDATE SET
    requests = kept.requests + EXCLUDED.requests, cost_nano = kept.cost_nano + EXCLUDED.cost_nano
"""
_COUNTED = """
    SELECT (started_at AT TIME ZONE 'UTC')::date AS day, coalesce(attempts_made->-1->>0, provider_id) AS provider_id,
           model_id, count(*) AS requests, sum(cost_nano)::bigint AS cost_nano
    FROM billing_usagerecord WHERE cost_nano > 0 AND NOT is_own_key AND {} GROUP BY 1, 2, 3
"""


def _differing(records: str, days: str) -> str:
    """Return the query for the days on which what is kept is not what the records say."""
    return f"""
    SELECT format('%%s, %%s by %%s: %%s nano-USD of %%s requests summed up, records of %%s and %%s', day, model_id,
                  provider_id, coalesce(kept.cost_nano, 0), coalesce(kept.requests, 0), coalesce(counted.cost_nano, 0),
                  coalesce(counted.requests, 0)) AS culprit
    FROM (SELECT * FROM billing_servedday WHERE {days}) AS kept
    FULL JOIN ({_COUNTED.format(records)}) AS counted USING (day, provider_id, model_id)
    WHERE (kept.requests, kept.cost_nano) IS DISTINCT FROM (counted.requests, counted.cost_nano)
    """  # noqa: S608 - the parts stand above


# For the audit, which runs it without parameters.
DIFFERING = _differing("true", "true").replace("%%", "%")
_RECORDS = "started_at >= %(start)s AND started_at < %(end)s"
_DAYS = "day >= %(first)s AND day <= %(last)s"
_DIFFERING = f"{_differing(_RECORDS, _DAYS)} ORDER BY culprit"
_DROP = f"DELETE FROM billing_servedday WHERE {_DAYS}"  # noqa: S608 - the part stands above
_FILL = f"INSERT INTO billing_servedday (day, provider_id, model_id, requests, cost_nano) {_COUNTED.format(_RECORDS)}"


class _Group(NamedTuple):
    """What is summed up together, in the order in which rows are written: no two shippers wait for each other."""

    day: date
    provider_id: str
    model_id: str


def add(usages: Sequence[Usage], inserted: Iterable[str]) -> None:
    """Count those of ``usages`` whose ids are in ``inserted``; late in its transaction, for its rows are everybody's."""
    by_id = {usage.request_id: usage for usage in reversed(usages)}
    sums: dict[_Group, list[int]] = {}
    for usage in map(by_id.__getitem__, inserted):
        if usage.cost_nano and not usage.is_own_key:
            of = sums.setdefault(_group(usage), [0, 0])
            of[0] += 1
            of[1] += usage.cost_nano
    if sums:
        columns = [list(column) for column in zip(*sums, strict=True)]
        columns += [list(column) for column in zip(*sums.values(), strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(_ADD, columns)


def _group(usage: Usage) -> _Group:
    day = _EPOCH + timedelta(days=usage.started_at_ms // _DAY_MS)
    return _Group(day, served_by(usage), usage.model_id)


def served_by(usage: Usage) -> str:
    """Return the provider that was asked last, which is the one that served if any did."""
    return usage.attempts_made[-1].provider_id if usage.attempts_made else usage.provider_id


def recount(*, first: date, last: date, is_dry: bool = False) -> list[str]:
    """Compare the days from ``first`` to ``last`` with the records and put right what differs; settlement waits."""
    named = {
        "first": first,
        "last": last,
        "start": datetime.combine(first, time(), UTC),
        "end": datetime.combine(last + timedelta(days=1), time(), UTC),
    }
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # Who has stored records and not counted them yet waits here, and counts them after us: we do not see them.
        cursor.execute("LOCK TABLE billing_servedday IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(_DIFFERING, named)
        culprits = [row[0] for row in cursor.fetchall()]
        if culprits and not is_dry:
            cursor.execute(_DROP, named)
            cursor.execute(_FILL, named)
    return culprits
