"""Mails about budgets: at 80 %, and when one is used up; once for each subject, window, period and part.

A budget is used up when all of it is spent, and also when a request was refused by it after the first mail was due:
what is left may never reach for another one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import cast

from django.db import connection, transaction
from redis.exceptions import RedisError

from accounts import organizations
from accounts.models import ApiKey, Organization, User
from billing import holds, mails
from billing.models import BudgetAlert
from fastanchor.lib import windows
from fastanchor.lib.money import short_usd
from fastanchor.lib.valkey import sync_client
from fastanchor.lib.windows import Window

logger = logging.getLogger(__name__)

FIRST, USED_UP = 80, 100
MOST_AT_ONCE = 100

# Every budget in force, with its present period and what is spent of it. A budget of nothing shuts, and tells nobody.
_STANDING = """
WITH budgeted AS (
    SELECT organization_id, id AS subject, budget_day_nano AS d, budget_week_nano AS w, budget_month_nano AS m,
           budget_total_nano AS t
    FROM accounts_apikey WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    UNION ALL SELECT id, id, budget_day_nano, budget_week_nano, budget_month_nano, budget_total_nano
    FROM accounts_organization
    UNION ALL SELECT organization_id, 'user_' || user_id, budget_day_nano, budget_week_nano, budget_month_nano,
                     budget_total_nano
    FROM accounts_membership
), standing AS (
    SELECT organization_id, subject, "window", period, nano, spent
    FROM budgeted CROSS JOIN LATERAL (
        SELECT name, named, CASE name WHEN 'day' THEN d WHEN 'week' THEN w WHEN 'month' THEN m ELSE t END, first, last
        FROM unnest(%(windows)s::text[], %(periods)s::text[], %(firsts)s::integer[], %(lasts)s::integer[])
            AS present (name, named, first, last)
    ) AS budget ("window", period, nano, first, last)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(cost_nano), 0) AS spent FROM billing_spend AS spend
        WHERE spend.organization_id = budgeted.organization_id AND spend.subject = budgeted.subject
          AND spend.period BETWEEN first AND last
    ) AS sums
    WHERE nano > 0
)
"""
_DUE = f"""{_STANDING}
SELECT organization_id, subject, "window", period, nano, spent, count(alert.id) > 0
FROM standing LEFT JOIN billing_budgetalert AS alert USING (organization_id, subject, "window", period)
WHERE spent * 100 >= nano * {FIRST}
GROUP BY 1, 2, 3, 4, 5, 6 HAVING count(alert.id) FILTER (WHERE percent = {USED_UP}) = 0
ORDER BY 1, 2, 3
"""  # noqa: S608 - the parts stand above
# What was told of a budget that is less, and whose part is not reached any more; or of one that is gone.
_REARM = f"""{_STANDING}
DELETE FROM billing_budgetalert AS alert USING unnest(%(windows)s::text[], %(periods)s::text[]) AS present (name, named)
WHERE "window" = name AND period = named AND NOT EXISTS (
    SELECT FROM standing WHERE standing.organization_id = alert.organization_id AND standing.subject = alert.subject
        AND standing."window" = alert."window"
        AND (nano <= alert.budget_nano OR spent * 100 >= nano * alert.percent))
"""  # noqa: S608 - the parts stand above


@dataclass(frozen=True, slots=True)
class _Standing:
    """A budget of which the first part is spent; ``is_told`` when a mail has said so."""

    organization_id: str
    subject: str
    window: Window
    period: str
    budget_nano: int
    spent_nano: int
    is_told: bool


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose a budget is, in words; who else is told; and where it is changed."""

    name: str
    addresses: list[str]
    url: str


def send_due(at: datetime | None = None) -> int:
    """Send every mail that is due; returns how many.

    Raises ``OSError`` or ``SMTPException`` when a mail cannot be handed over; it stays due.
    """
    moment = at or datetime.now(UTC)
    due = [(each, percent) for each, percent in _due(moment) if percent == USED_UP or not each.is_told]
    return sum(_send(each, percent, moment) for each, percent in due[:MOST_AT_ONCE])


def rearm(at: datetime | None = None) -> int:
    """Let be told again what a raised budget has made untrue; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_REARM, _present(at or datetime.now(UTC)))
        return int(cursor.rowcount)


def _present(at: datetime) -> dict[str, list[str] | list[int]]:
    bounds = [windows.bounds(window, at) for window in Window]
    return {
        "windows": [window.value for window in Window],
        "periods": [windows.period(window, at) for window in Window],
        "firsts": [first for first, _ in bounds],
        "lasts": [last for _, last in bounds],
    }


def _due(at: datetime) -> Iterator[tuple[_Standing, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_DUE, _present(at))
        found = [
            _Standing(row[0], row[1], Window(row[2]), row[3], row[4], int(row[5]), is_told=row[6])
            for row in cursor.fetchall()
        ]
    for organization_id, group in groupby(found, key=lambda each: each.organization_id):
        yield from _parts(organization_id, list(group))


def _parts(organization_id: str, group: list[_Standing]) -> Iterable[tuple[_Standing, int]]:
    refused = _refusals(organization_id, group)
    for each, mark in zip(group, refused, strict=True):
        is_used_up = each.spent_nano >= each.budget_nano or mark == f"{each.period}:{each.budget_nano}"
        yield each, USED_UP if is_used_up else FIRST


def _refusals(organization_id: str, group: list[_Standing]) -> list[str]:
    """Return the period and the amount (``20261130:5000``) in which each budget refused last; empty for never."""
    fields = [f"{each.subject}:{each.window}:refused" for each in group]
    try:
        marks = cast("list[bytes | None]", sync_client().hmget(holds.keys_of(organization_id)[3], fields))
        return [(mark or b"").decode() for mark in marks]
    except RedisError as exc:
        logger.warning("budget_alerts.refusals_unknown", extra={"error": type(exc).__name__})
        return [""] * len(group)


def _send(standing: _Standing, percent: int, at: datetime) -> int:
    with transaction.atomic(durable=True):
        # Whoever makes the row sends the mail; another waits here until it is sent, and then finds the row.
        if not _note(standing, percent):
            return 0
        organization = Organization.objects.get(pk=standing.organization_id)
        owner = _owner(organization, standing.subject)
        if owner is None:
            return 0
        mails.send_to(
            list(dict.fromkeys([*organizations.owner_emails(organization), *owner.addresses])),
            organization,
            "budget",
            whose=owner.name,
            adjective=standing.window.adjective,
            budget=short_usd(standing.budget_nano),
            spent=short_usd(standing.spent_nano),
            percent=standing.spent_nano * 100 // standing.budget_nano,
            is_used_up=percent == USED_UP,
            anew=windows.said(standing.window, at),
            budget_url=owner.url,
        )
        return 1


def _note(standing: _Standing, percent: int) -> bool:
    """Note what is told, and what it makes needless to tell; false when somebody else has told it."""
    was_told = True
    for part in (FIRST, USED_UP):
        if part <= percent:
            _, is_new = BudgetAlert.objects.get_or_create(
                organization_id=standing.organization_id,
                subject=standing.subject,
                window=standing.window.value,
                period=standing.period,
                percent=part,
                defaults={"budget_nano": standing.budget_nano},
            )
            was_told = not is_new
    return not was_told


def _owner(organization: Organization, subject: str) -> _Owner | None:
    """Return whose a budget is; ``None`` when key or member have gone meanwhile."""
    if subject == organization.pk:
        return _Owner(f"the organization {organization.name}", [], mails.link_to("billing:budgets"))
    if subject.startswith("user_"):
        user = User.objects.filter(pk=int(subject.removeprefix("user_"))).first()
        url = mails.link_to("billing:budgets")
        return _Owner(f"{user.email} in {organization.name}", [user.email], url) if user else None
    key = ApiKey.objects.filter(pk=subject).first()
    if key is None:
        return None
    return _Owner(
        f"the API key “{key.name}” of {organization.name}", [], mails.link_to("billing:key-budgets", key.pk)
    )
