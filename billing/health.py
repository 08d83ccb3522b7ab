"""The platform's health by model, hour and day, counted as requests are settled.

Counted once, because it is counted in the transaction that stores the record. Requests that were the caller's own
mistake, that the caller left, or that went over the caller's own key of a provider, say nothing of us and count neither as
served nor as failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Q

from billing.models import Health, Outcome
from fastanchor.lib import windows
from fastanchor.lib.histogram import bucket_of, packed

RETAINED = timedelta(days=400)
# Days are numbers of eight digits and hours of ten.
_FIRST_HOUR = 100_000_000
_HOURS = 100
_CHUNK = 5_000
# What of a usage record matters here, in the order of ``Seen``.
COLUMNS = """to_char(started_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24')::bigint, provider_id, model_id, outcome, status,
    error_code, is_stream, first_token_ms, (extract(epoch FROM finished_at - started_at) * 1000)::bigint,
    is_own_key"""
_BROKEN = frozenset({Outcome.UPSTREAM_DIED.value, Outcome.INTERRUPTED.value})


def has_failed(outcome: str, status: int, error_code: str) -> bool:
    """Tell whether we or an upstream failed the caller: before an answer, or in the middle of one."""
    is_our_fault = outcome == Outcome.FREE.value and bool(error_code)
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or outcome in _BROKEN or is_our_fault


class Seen(NamedTuple):
    """A usage record as far as health is concerned."""

    hour: int
    provider_id: str
    model_id: str
    outcome: str
    status: int
    error_code: str
    is_stream: bool
    first_token_ms: int | None
    whole_ms: int
    is_own_key: bool = False

    @property
    def has_failed(self) -> bool:
        """Tell whether we or an upstream failed the caller: before an answer, or in the middle of one."""
        return has_failed(self.outcome, self.status, self.error_code)

    @property
    def has_served(self) -> bool:
        """Tell whether the caller was answered."""
        return self.status == HTTPStatus.OK and not self.has_failed


@dataclass(slots=True)
class _Sum:
    served: int = 0
    failed: int = 0
    first_token: Counter[int] = field(default_factory=Counter)
    whole: Counter[int] = field(default_factory=Counter)

    def count(self, seen: Seen) -> None:
        if seen.has_failed:
            self.failed += 1
            return
        self.served += 1
        if not seen.is_stream:
            self.whole[bucket_of(seen.whole_ms)] += 1
        elif seen.first_token_ms is not None:
            self.first_token[bucket_of(seen.first_token_ms)] += 1


_Sums = dict[tuple[int, str, str], _Sum]


def add(records: Iterable[Seen]) -> None:
    """Count records that were just stored; the last statement of its transaction, for its rows are everybody's."""
    sums: _Sums = {}
    _count(sums, records)
    _write(sums)


def _count(sums: _Sums, records: Iterable[Seen]) -> None:
    for seen in records:
        if not seen.is_own_key and (seen.has_failed or seen.has_served):
            for period in (seen.hour, seen.hour // _HOURS):
                sums.setdefault((period, seen.provider_id, seen.model_id), _Sum()).count(seen)


_ADD = """
INSERT INTO billing_health AS kept (period, provider_id, model_id, served, failed, first_token, whole)
SELECT period, provider_id, model_id, served, failed, first_token, whole
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::numeric[], %s::numeric[])
    AS sums (period, provider_id, model_id, served, failed, first_token, whole)
ORDER BY period, provider_id, model_id
ON CONFLICT (period, provider_id, model_id) DO UPDATE SET
    served = kept.served + EXCLUDED.served, failed = kept.failed + EXCLUDED.failed,
    first_token = kept.first_token + EXCLUDED.first_token, whole = kept.whole + EXCLUDED.whole
"""


def _write(sums: _Sums) -> None:
    """Add to what is kept; rows are locked in one order, so that no two shippers wait for each other."""
    if not sums:
        return
    keys, values = list(sums), list(sums.values())
    columns: list[Any] = [
        *([key[place] for key in keys] for place in range(3)),
        [value.served for value in values],
        [value.failed for value in values],
        [packed(value.first_token) for value in values],
        [packed(value.whole) for value in values],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, columns)


def rebuild(*, first: date, last: date) -> int:
    """Count the days from ``first`` to ``last`` anew from their usage records; returns the number of records.

    Each day is one transaction, during which settlement waits.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return sum(_rebuild_day(day) for day in days)


def _rebuild_day(day: date) -> int:
    number = windows.day_number(datetime.combine(day, time(), UTC))
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # Who has stored records and not counted them yet waits here, and counts them after us: we do not see them.
        cursor.execute("LOCK TABLE billing_health IN SHARE ROW EXCLUSIVE MODE")
        hours = (number * _HOURS, number * _HOURS + 23)
        Health.objects.filter(Q(period=number) | Q(period__range=hours)).delete()
        sums: _Sums = {}
        counted = 0
        for chunk in _records_of(day):
            counted += len(chunk)
            _count(sums, chunk)
        _write(sums)
    return counted


def _records_of(day: date) -> Iterator[list[Seen]]:
    start = datetime.combine(day, time(), UTC)
    query = f"SELECT {COLUMNS} FROM billing_usagerecord WHERE started_at >= %s AND started_at < %s"  # noqa: S608
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, [start, start + timedelta(days=1)])
        while rows := cursor.fetchmany(_CHUNK):
            yield [Seen(*row) for row in rows]


def forget_old(*, at: datetime) -> int:
    """Delete what is older than ``RETAINED``; returns the number of rows."""
    oldest = windows.day_number((at - RETAINED).astimezone(UTC))
    old = Q(period__lt=oldest) | Q(period__gte=_FIRST_HOUR, period__lt=oldest * _HOURS)
    return Health.objects.filter(old).delete()[0]
