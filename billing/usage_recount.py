"""Counting the sums of usage anew from the records: what differs is named, and then put right.

A settlement locks the wallets of its organizations first. So does a recount, one organization at a time: no request can
be in the records and not yet in the sums while it looks.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction

from billing import usage_sums
from billing.models import Wallet
from fastanchor.lib.histogram import EDGES, PLACES

_GROUP = "organization_id, hours, start, key_id, model_id, provider_id"
_COUNTS = (
    "requests, failed, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, "
    "cost_nano, took, first_token"
)


def _buckets(column: str) -> str:
    """Return the packed histogram of records."""
    return f"coalesce(sum(rpad('1', 1 + {PLACES} * {column}, '0')::numeric), 0)"


def _bucket(ms: str) -> str:
    """Return the number of a duration's bucket: how many edges are below it."""
    edges = ",".join(map(str, EDGES))
    return f"least(width_bucket({ms} - 1, '{{{edges}}}'::bigint[]), {len(EDGES) - 1})"


_FAILED = "(status >= 500 OR outcome IN ({}))".format(
    ", ".join(f"'{name}'" for name in sorted(usage_sums.FAILED))
)
_TOOK_MS = "(extract(epoch FROM finished_at - started_at) * 1000)::bigint"


def counted(where: str = "true") -> str:
    """Return the query that sums up those usage records for which a condition holds."""
    return f"""
    SELECT organization_id, hours::smallint AS hours,
        date_trunc(CASE hours WHEN 1 THEN 'hour' ELSE 'day' END, started_at, 'UTC') AS start,
        key_id, model_id, provider_id, count(*) AS requests, count(*) FILTER (WHERE has_failed) AS failed,
        sum(input_tokens)::bigint AS input_tokens, sum(cached_tokens)::bigint AS cached_tokens,
        sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(output_tokens)::bigint AS output_tokens,
        sum(reasoning_tokens)::bigint AS reasoning_tokens, sum(cost_nano)::bigint AS cost_nano,
        {_buckets("took_bucket")} AS took, {_buckets("first_bucket")} AS first_token
    FROM (SELECT *, {_FAILED} AS has_failed,
                 CASE WHEN NOT {_FAILED} AND outcome <> 'interrupted' THEN {_bucket(_TOOK_MS)} END AS took_bucket,
                 CASE WHEN NOT {_FAILED} AND outcome <> 'interrupted' AND first_token_ms IS NOT NULL
                      THEN {_bucket("first_token_ms::bigint")} END AS first_bucket
          FROM billing_usagerecord WHERE {where}) AS record
    CROSS JOIN (VALUES (1), (24)) AS grain (hours) GROUP BY 1, 2, 3, 4, 5, 6
    """  # noqa: S608 - the parts stand above


def differing(records: str = "true", sums: str = "true") -> str:
    """Return the query for the groups in which sums and records differ, ``culprit`` saying how."""
    return f"""
    SELECT concat(organization_id, ', ', hours, ' h from ', to_char(start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), ', ',
                  key_id, ', ', model_id, ', ', provider_id, ': ', coalesce(sums.requests, 0), ' requests and ',
                  coalesce(sums.cost_nano, 0), ' nano-USD summed up, records of ', coalesce(counted.requests, 0),
                  ' and ', coalesce(counted.cost_nano, 0)) AS culprit, {_GROUP}
    FROM (SELECT * FROM billing_usagesum WHERE {sums}) AS sums
    FULL JOIN ({counted(records)}) AS counted USING ({_GROUP})
    WHERE ({_prefixed("sums")}) IS DISTINCT FROM ({_prefixed("counted")})
    """  # noqa: S608 - the parts stand above


def _prefixed(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in _COUNTS.split(", "))


_IN_RANGE = "started_at >= %(start)s AND started_at < %(end)s"
_RECORDS = f"organization_id = %(organization)s AND {_IN_RANGE}"
_SUMS = "organization_id = %(organization)s AND start >= %(start)s AND start < %(end)s"
_DIFFERING = f"{differing(_RECORDS, _SUMS)} ORDER BY culprit"
_DROP = f"""
DELETE FROM billing_usagesum WHERE {_SUMS} AND ({_GROUP}) IN (SELECT {_GROUP} FROM ({differing(_RECORDS, _SUMS)}) AS wrong)
"""  # noqa: S608 - the parts stand above


def _filled(records: str) -> str:
    return f"""
    INSERT INTO billing_usagesum ({_GROUP}, {_COUNTS}, member)
    SELECT {_GROUP}, {_COUNTS}, coalesce((SELECT 'user_' || created_by_id FROM accounts_apikey WHERE id = key_id), '')
    FROM ({counted(records)}) AS counted ORDER BY {_GROUP} ON CONFLICT DO NOTHING
    """  # noqa: S608 - the parts stand above


_FILL = _filled(_RECORDS)
# For an organization that has no sums yet.
FILL_ORGANIZATION = _filled("organization_id = %(organization)s")
_ORGANIZATIONS = f"""
SELECT organization_id FROM billing_usagerecord WHERE {_IN_RANGE}
UNION SELECT organization_id FROM billing_usagesum WHERE start >= %(start)s AND start < %(end)s ORDER BY 1
"""  # noqa: S608 - the parts stand above


def recount(*, first: date, last: date, is_dry: bool = False) -> list[str]:
    """Compare the days from ``first`` to ``last`` (UTC) with the records and put right what differs.

    Returns one sentence for each hour and day that differed.
    """
    days = {
        "start": datetime.combine(first, time(), UTC),
        "end": datetime.combine(last + timedelta(days=1), time(), UTC),
    }
    with connection.cursor() as cursor:
        cursor.execute(_ORGANIZATIONS, days)
        organizations = [row[0] for row in cursor.fetchall()]
    return [
        culprit
        for organization in organizations
        for culprit in _recount(days | {"organization": organization}, is_dry=is_dry)
    ]


def _recount(named: dict[str, Any], *, is_dry: bool) -> list[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        list(Wallet.objects.select_for_update().filter(pk=named["organization"]))
        cursor.execute(_DIFFERING, named)
        culprits = [row[0] for row in cursor.fetchall()]
        if culprits and not is_dry:
            cursor.execute(_DROP, named)
            cursor.execute(_FILL, named)
        return culprits
