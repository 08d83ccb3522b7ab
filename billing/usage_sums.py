"""Sums of usage records by hour and by day (UTC): what pages read in place of a million records.

They move in the transaction that inserts the records, so they are equal to them at every moment. ``usage_recount`` counts
them anew, by SQL of its own, and the audit compares the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from django.db import connection

from billing.models import Outcome
from billing.spool import Usage
from fastanchor.lib.histogram import bucket_of, packed

HOUR, DAY = 1, 24
_HOUR_MS = 3_600_000
# Nothing, or not all, of what was asked for came back.
FAILED = frozenset({Outcome.UPSTREAM_DIED.value, Outcome.FAILED.value, Outcome.FREE.value})


def has_failed(status: int, outcome: str) -> bool:
    """Tell whether a request counts as failed, whosever fault it was; ``billing.health`` leaves out the caller's own."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or outcome in FAILED


class _Group(NamedTuple):
    """What is summed up together, in the order in which rows are written: no two shippers wait for each other."""

    organization_id: str
    hours: int
    start_ms: int
    key_id: str
    model_id: str
    provider_id: str


@dataclass(slots=True)
class _Sum:
    """What the requests of one group came to."""

    counts: list[int] = field(default_factory=lambda: [0] * 8)
    took: Counter[int] = field(default_factory=Counter)
    first_token: Counter[int] = field(default_factory=Counter)

    def add(self, usage: Usage) -> None:
        failed = has_failed(usage.status, usage.outcome)
        each = (
            1,
            int(failed),
            usage.input_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.cost_nano,
        )
        self.counts = [sum(pair) for pair in zip(self.counts, each, strict=True)]
        # A request whose process died ended when that was found, and a failure tells nothing of how long answers take.
        if not failed and usage.outcome != Outcome.INTERRUPTED:
            self.took[bucket_of(usage.finished_at_ms - usage.started_at_ms)] += 1
            if usage.first_token_ms >= 0:
                self.first_token[bucket_of(usage.first_token_ms)] += 1


_ADD = """
INSERT INTO billing_usagesum AS sums (organization_id, hours, start, key_id, model_id, provider_id, member, requests,
    failed, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_nano, took, first_token)
SELECT new.organization_id, hours, 'epoch'::timestamptz + start_ms * interval '1 millisecond', key_id, model_id,
    provider_id, coalesce('user_' || key.created_by_id, ''), requests, failed, input_tokens, cached_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, cost_nano, took, first_token
FROM unnest(%s::text[], %s::smallint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::numeric[], %s::numeric[])
    AS new (organization_id, hours, start_ms, key_id, model_id, provider_id, requests, failed, input_tokens,
            cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_nano, took, first_token)
LEFT JOIN accounts_apikey AS key ON key.id = key_id
ORDER BY 1, 2, 3, 4, 5, 6
ON CONFLICT (organization_id, hours, start, key_id, model_id, provider_id) DO UPDATE SET
    requests = sums.requests + EXCLUDED.requests, failed = sums.failed + EXCLUDED.failed,
    input_tokens = sums.input_tokens + EXCLUDED.input_tokens,
    cached_tokens = sums.cached_tokens + EXCLUDED.cached_tokens,
    cache_write_tokens = sums.cache_write_tokens + EXCLUDED.cache_write_tokens,
    output_tokens = sums.output_tokens + EXCLUDED.output_tokens,
    reasoning_tokens = sums.reasoning_tokens + EXCLUDED.reasoning_tokens,
    cost_nano = sums.cost_nano + EXCLUDED.cost_nano,
    took = sums.took + EXCLUDED.took, first_token = sums.first_token + EXCLUDED.first_token
"""


def add(usages: Sequence[Usage], inserted: Iterable[str]) -> None:
    """Count those of ``usages`` whose ids are in ``inserted``; the wallets of their organizations are locked."""
    # Of two that come with one id, the first is the one that was inserted.
    by_id = {usage.request_id: usage for usage in reversed(usages)}
    sums: dict[_Group, _Sum] = {}
    for request_id in inserted:
        usage = by_id[request_id]
        for hours in (HOUR, DAY):
            sums.setdefault(_group(usage, hours), _Sum()).add(usage)
    if sums:
        _write(sums)


def _group(usage: Usage, hours: int) -> _Group:
    start_ms = usage.started_at_ms - usage.started_at_ms % (hours * _HOUR_MS)
    return _Group(usage.organization_id, hours, start_ms, usage.key_id, usage.model_id, usage.provider_id)


def _write(sums: dict[_Group, _Sum]) -> None:
    columns: list[Any] = [list(column) for column in zip(*sums, strict=True)]
    columns += [list(column) for column in zip(*(each.counts for each in sums.values()), strict=True)]
    columns += [[packed(each.took) for each in sums.values()]]
    columns += [[packed(each.first_token) for each in sums.values()]]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, columns)
