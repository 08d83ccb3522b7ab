"""Very many usage records of one organization, made by PostgreSQL itself."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from accounts.models import Organization
from billing import partitions

_INSERT = """
INSERT INTO billing_usagerecord (request_id, organization_id, key_id, model_id, provider_id, channel_id, price_id,
    started_at, finished_at, first_token_ms, is_stream, outcome, status, input_tokens, cached_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, cost_picos, cost_nano, hold_nano, is_estimated, attempts, finish_reason, error_code,
    upstream_id, settled_at)
SELECT 'req_' || lpad(number::text, 22, '0'), %(organization)s, 'key_' || number %% 3, 'model-' || number %% 7, 'openai',
    'chan_1', 'price_1', %(newest)s::timestamptz - number * interval '1 second',
    %(newest)s::timestamptz - number * interval '1 second' + interval '900 ms', 300, number %% 2 = 0,
    CASE WHEN number %% 50 = 0 THEN 'free' WHEN number %% 71 = 0 THEN 'cut' ELSE 'completed' END,
    CASE WHEN number %% 50 = 0 THEN 502 ELSE 200 END, 100 + number %% 1000, 0, 0, number %% 500, 0,
    CASE WHEN number %% 50 = 0 THEN 0 ELSE (1 + number %% 997) * 1000000 END,
    CASE WHEN number %% 50 = 0 THEN 0 ELSE (1 + number %% 997) * 1000 END, 5000000, false, 1, 'stop', '', 'up', now()
FROM generate_series(1, %(count)s) AS number
"""


def fill(organization: Organization, count: int, *, newest: datetime) -> None:
    """Add ``count`` requests, one a second, the newest a second before ``newest``; every fiftieth has failed."""
    partitions.prepare(today=newest.date())
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, {"organization": organization.pk, "count": count, "newest": newest})
        cursor.execute("ANALYZE billing_usagerecord")
