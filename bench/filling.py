"""Fills one organization with as many usage records as are wanted, in seconds: what pages are measured on.

The records lie over the last ninety days. A few keys take most of them, and each calls four models, one of them most, as
services do; every hundredth failed. The sums are counted from the records, and usage is posted by the hour, so that the books add up as well.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from accounts import organizations, people
from accounts.models import ApiKey, Membership, Organization, User
from billing import partitions, served_days, topups, usage_recount
from billing.models import Account, AccountCode

DAYS = 90
_CREDIT_CENTS = 900_000_000
_MEMBERS, _KEYS, _MODELS = 5, 25, 40
_PROVIDERS = ("openai", "anthropic", "google", "deepseek", "alibaba")


@dataclass(frozen=True, slots=True)
class Filled:
    """The organization, its owner, one of its keys and its newest request."""

    owner: User
    organization: Organization
    key_id: str
    request_id: str


def fill(*, records: int, email: str = "bench@example.com") -> Filled:
    """Fill the organization of a user, made if need be and without any usage yet, with so many records up to now."""
    at = datetime.now(UTC)
    for back in range(DAYS // 28 + 1):
        partitions.prepare(today=(at - timedelta(days=28 * back)).date(), months_ahead=0)
    owner = people.ensure_verified(email=email, password=secrets.token_hex())
    organization = organizations.of_user(owner)
    topups.record_top_up(
        organization=organization, cents=_CREDIT_CENTS, key=f"bench:{organization.pk}", actor="command:bench"
    )
    keys = _make_keys(organization, [owner, *_make_members(organization)])
    named: dict[str, Any] = {"organization": organization.pk, "keys": keys, "count": records, "at": at}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(_RECORDS, named | {"providers": list(_PROVIDERS), "models": _MODELS, "days": DAYS})
        cursor.execute(usage_recount.FILL_ORGANIZATION, named)
        cursor.execute(_SPEND, named)
        cursor.execute(_JOURNALS, named)
        cursor.execute(_POSTINGS, named | _accounts(organization))
        cursor.execute(_WALLET, named)
    served_days.recount(first=(at - timedelta(days=DAYS + 1)).date(), last=at.date())
    return Filled(owner, organization, keys[0], f"req_{organization.pk[-8:]}{records:08d}")


def analyze() -> None:
    """Let PostgreSQL look at what is there, as it does by itself after a while."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _make_members(organization: Organization) -> list[User]:
    users = [people.ensure_verified(email=f"bench-{number}@example.com") for number in range(1, _MEMBERS)]
    Membership.objects.bulk_create([Membership(user=user, organization=organization) for user in users])
    return users


def _make_keys(organization: Organization, members: list[User]) -> list[str]:
    keys = [
        ApiKey(
            organization=organization,
            name=f"Service {number}",
            created_by=members[number % len(members)],
            digest=secrets.token_bytes(32),
            prefix="fa_live_0000",
            last4=f"{number:04d}",
        )
        for number in range(_KEYS)
    ]
    return [key.pk for key in ApiKey.objects.bulk_create(keys)]


def _accounts(organization: Organization) -> dict[str, int]:
    paid, _ = Account.objects.get_or_create(organization=organization, code=AccountCode.WALLET_PAID)
    revenue, _ = Account.objects.get_or_create(organization=None, code=AccountCode.USAGE_REVENUE)
    return {"paid": paid.pk, "revenue": revenue.pk}


_RECORDS = """
INSERT INTO billing_usagerecord (request_id, organization_id, key_id, model_id, provider_id, channel_id, price_id,
    started_at, finished_at, first_token_ms, is_stream, outcome, status, input_tokens, cached_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, cost_picos, cost_nano, hold_nano, is_estimated, attempts,
    finish_reason, error_code, upstream_id, settled_at)
SELECT 'req_' || right(%(organization)s, 8) || lpad(number::text, 8, '0'), %(organization)s, (%(keys)s::text[])[1 + key], 'model-' || model,
    (%(providers)s::text[])[1 + model %% cardinality(%(providers)s::text[])], 'chan_1', 'price_1', start,
    start + took * interval '1 millisecond', CASE WHEN failed THEN NULL ELSE took / 4 END, number %% 3 > 0,
    CASE WHEN failed THEN 'free' ELSE 'completed' END, CASE WHEN failed THEN 502 ELSE 200 END, input, input / 3, 0, output,
    output / 5, nano * 1000, nano, 2 * nano, false, 1, 'stop', '', '', start
FROM (SELECT *, (3 * key + choice) %% %(models)s AS model
      FROM (SELECT number, least(%(at)s - interval '1 second', %(at)s - (%(count)s - number) * (%(days)s * interval '1 day' / %(count)s)) AS start,
             floor(cardinality(%(keys)s::text[]) * random() ^ 2)::integer AS key,
             floor(4 * random() ^ 2)::integer AS choice,
             (200 + 30000 * random() ^ 4)::integer AS took, number %% 100 = 0 AS failed,
             (50 + 4000 * random())::integer AS input, (10 + 800 * random())::integer AS output,
             CASE WHEN number %% 100 = 0 THEN 0 ELSE (1000 + 20000000 * random() ^ 3)::bigint END AS nano
      FROM generate_series(1, %(count)s) AS number) AS drawn) AS drawn
"""
_SPEND = """
INSERT INTO billing_spend (organization_id, subject, period, cost_nano)
SELECT organization_id, subject, period, sum(cost_nano) FROM billing_usagesum
CROSS JOIN LATERAL (VALUES (key_id), (organization_id), (nullif(member, ''))) AS of (subject)
CROSS JOIN LATERAL (VALUES (to_char(start AT TIME ZONE 'UTC', 'YYYYMM')::integer),
                           (to_char(start AT TIME ZONE 'UTC', 'YYYYMMDD')::integer)) AS during (period)
WHERE organization_id = %(organization)s AND hours = 24 AND subject IS NOT NULL GROUP BY 1, 2, 3
"""
_JOURNALS = """
INSERT INTO billing_journal (id, idempotency_key, kind, organization_id, legs, effective_at, created_at, reason, actor,
    source_type, source_id)
SELECT 'jrn_' || right(organization_id, 8) || extract(epoch FROM start)::bigint, 'usage:bench:' || organization_id || extract(epoch FROM start)::bigint, 'usage',
    organization_id, 2, start + interval '1 hour', start + interval '1 hour', 'Usage', 'system', 'wallet_version', ''
FROM billing_usagesum WHERE organization_id = %(organization)s AND hours = 1
GROUP BY organization_id, start HAVING sum(cost_nano) > 0
"""
_POSTINGS = """
INSERT INTO billing_posting (journal_id, account_id, amount_nano)
SELECT 'jrn_' || right(organization_id, 8) || extract(epoch FROM start)::bigint, account, (sign * sum(cost_nano))::bigint
FROM billing_usagesum CROSS JOIN (VALUES (%(paid)s::bigint, 1), (%(revenue)s::bigint, -1)) AS leg (account, sign)
WHERE organization_id = %(organization)s AND hours = 1 GROUP BY organization_id, start, account, sign HAVING sum(cost_nano) > 0
"""
_WALLET = """
WITH used AS (SELECT sum(cost_nano) AS nano FROM billing_usagesum WHERE organization_id = %(organization)s AND hours = 24),
lot AS (UPDATE billing_creditlot SET remaining_nano = remaining_nano - used.nano FROM used
        WHERE organization_id = %(organization)s AND kind = 'paid')
UPDATE billing_wallet SET balance_nano = balance_nano - used.nano, version = version + 1 FROM used
WHERE organization_id = %(organization)s
"""
