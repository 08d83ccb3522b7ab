"""Spending: what keys, members and organizations have spent by settled usage, by day and by month (UTC).

A request counts in the day and month in which it began: for its key, for the member who created the key, and for the
organization. Weeks add up days, all time adds up months.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing import holds
from fastanchor.lib import windows
from fastanchor.lib.windows import Window


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request cost, by which key, and on which day it began (YYYYMMDD)."""

    organization_id: str
    key_id: str
    day: int
    cost_nano: int


# For whom a request of a key counts.
_SUBJECTS = """
LEFT JOIN accounts_apikey AS key ON key.id = key_id
CROSS JOIN LATERAL (VALUES (key_id), (cost.organization_id), ('user_' || key.created_by_id)) AS of (subject)
"""
_ADD = f"""
INSERT INTO billing_spend AS spend (organization_id, subject, period, cost_nano)
SELECT cost.organization_id, subject, period, sum(nano)
FROM unnest(%s::text[], %s::text[], %s::integer[], %s::bigint[]) AS cost (organization_id, key_id, day, nano)
{_SUBJECTS}
CROSS JOIN LATERAL (VALUES (day), (day / 100)) AS during (period)
WHERE subject IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (organization_id, subject, period) DO UPDATE SET cost_nano = spend.cost_nano + EXCLUDED.cost_nano
"""  # noqa: S608 - the parts stand above
_SUMS = """
CROSS JOIN LATERAL (
    SELECT coalesce(sum(cost_nano), 0) AS lifetime, coalesce(sum(cost_nano) FILTER (WHERE period = %(month)s), 0) AS month
    FROM billing_spend WHERE organization_id = asked.organization_id AND subject = asked.subject
                         AND period < %(first_day)s) AS months
CROSS JOIN LATERAL (
    SELECT coalesce(sum(cost_nano), 0) AS week, coalesce(sum(cost_nano) FILTER (WHERE period = %(day)s), 0) AS day
    FROM billing_spend WHERE organization_id = asked.organization_id AND subject = asked.subject
                         AND period BETWEEN %(monday)s AND %(sunday)s) AS days
"""
_OF_KEYS = f"""
SELECT asked.organization_id, asked.subject, day, week, month, lifetime
FROM (SELECT DISTINCT cost.organization_id, subject
      FROM unnest(%(organizations)s::text[], %(keys)s::text[]) AS cost (organization_id, key_id) {_SUBJECTS}
      WHERE subject IS NOT NULL) AS asked {_SUMS} ORDER BY 1, 2
"""  # noqa: S608 - the parts stand above
_OF_SUBJECTS = f"""
SELECT asked.subject, day, week, month, lifetime
FROM (SELECT %(organization)s AS organization_id, subject FROM unnest(%(subjects)s::text[]) AS named (subject)) AS asked
{_SUMS} ORDER BY 1
"""  # noqa: S608 - the parts stand above


def add(costs: Sequence[Cost]) -> None:
    """Count what requests cost; the wallets of their organizations are locked."""
    if not costs:
        return
    columns: list[Any] = [
        [cost.organization_id for cost in costs],
        [cost.key_id for cost in costs],
        [cost.day for cost in costs],
        [cost.cost_nano for cost in costs],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, columns)


def of_keys(keys: Collection[tuple[str, str]], at: datetime) -> dict[str, holds.Spending]:
    """Return, by organization, what the given keys (after their organizations) and all for whom they count have spent."""
    pairs = list(keys)
    named: dict[str, Any] = {
        "organizations": [pair[0] for pair in pairs],
        "keys": [pair[1] for pair in pairs],
    }
    found: dict[str, list[holds.Spent]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_OF_KEYS, named | _numbers(at))
        for organization_id, subject, *sums in cursor.fetchall():
            found.setdefault(organization_id, []).append(holds.Spent(subject, *map(int, sums)))
    return {organization_id: holds.Spending(at, spent) for organization_id, spent in found.items()}


def of_subjects(
    organization_id: str, subjects: Collection[str], at: datetime | None = None
) -> holds.Spending:
    """Return what keys, members or the organization have spent in the present periods; zeros for nothing."""
    moment = at or datetime.now(UTC)
    named: dict[str, Any] = {"organization": organization_id, "subjects": sorted(subjects)}
    with connection.cursor() as cursor:
        cursor.execute(_OF_SUBJECTS, named | _numbers(moment))
        found = [holds.Spent(subject, *map(int, sums)) for subject, *sums in cursor.fetchall()]
    return holds.Spending(moment, found)


def _numbers(at: datetime) -> dict[str, Any]:
    utc = at.astimezone(UTC)
    monday, sunday = windows.bounds(Window.WEEK, utc)
    return {
        "day": windows.day_number(utc),
        "month": windows.month_number(utc),
        "monday": monday,
        "sunday": sunday,
        "first_day": windows.FIRST_DAY,
    }
