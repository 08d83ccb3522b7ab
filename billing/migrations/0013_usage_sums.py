"""Adds the sums of usage by hour and by day, and counts what there is of records."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from fastanchor.lib.histogram import EDGES

# Stands in the migration as it was then; billing.usage_recount counts with what is true now.
COUNTS = (
    "requests", "failed", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "cost_nano",
)


def buckets(column: str) -> str:
    counts = ", ".join(f"(count(*) FILTER (WHERE {column} = {number}))::integer" for number in range(len(EDGES)))
    return f"(ARRAY[{counts}])[:coalesce(max({column}) + 1, 0)]"


def bucket(ms: str) -> str:
    return f"least(width_bucket({ms} - 1, '{{{','.join(map(str, EDGES))}}}'::bigint[]), {len(EDGES) - 1})"


FILL = f"""
ALTER TABLE billing_usagesum SET (fillfactor = 70);
INSERT INTO billing_usagesum (organization_id, hours, start, key_id, model_id, provider_id, {", ".join(COUNTS)}, took,
    first_token, member)
SELECT organization_id, hours::smallint,
    date_trunc(CASE hours WHEN 1 THEN 'hour' ELSE 'day' END, started_at, 'UTC'), key_id, model_id, provider_id,
    count(*), count(*) FILTER (WHERE has_failed), sum(input_tokens)::bigint, sum(cached_tokens)::bigint,
    sum(cache_write_tokens)::bigint, sum(output_tokens)::bigint, sum(reasoning_tokens)::bigint, sum(cost_nano)::bigint,
    {buckets("took_bucket")}, {buckets("first_bucket")},
    coalesce((SELECT 'user_' || created_by_id FROM accounts_apikey WHERE id = key_id), '')
FROM (SELECT *, CASE WHEN counts THEN {bucket("(extract(epoch FROM finished_at - started_at) * 1000)::bigint")} END
                    AS took_bucket,
             CASE WHEN counts AND first_token_ms IS NOT NULL THEN {bucket("first_token_ms::bigint")} END AS first_bucket
      FROM (SELECT *, status >= 500 OR outcome IN ('upstream_died', 'failed', 'free') AS has_failed,
                   NOT (status >= 500 OR outcome IN ('upstream_died', 'failed', 'free', 'interrupted')) AS counts
            FROM billing_usagerecord) AS record) AS record
CROSS JOIN (VALUES (1), (24)) AS grain (hours) GROUP BY 1, 2, 3, 4, 5, 6;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_budgets'),
        ('billing', '0012_health'),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageSum',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hours', models.PositiveSmallIntegerField(help_text='How many hours are summed up: 1 or 24.')),
                ('start', models.DateTimeField(help_text='When the hour or day began in which the requests were started.')),
                ('key_id', models.CharField(max_length=40)),
                ('member', models.CharField(blank=True, help_text='user_ and the number of the member who made the key.', max_length=40)),
                ('model_id', models.CharField(max_length=200)),
                ('provider_id', models.CharField(max_length=80)),
                *[(name, models.BigIntegerField()) for name in COUNTS],
                ('took', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), help_text='How many answers took how long, by bucket.', size=None)),
                ('first_token', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), help_text='The same, until the first token.', size=None)),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='usage_sums', to='accounts.organization')),
            ],
        ),
        migrations.AddConstraint(
            model_name='usagesum',
            constraint=models.UniqueConstraint(fields=('organization', 'hours', 'start', 'key_id', 'model_id', 'provider_id'), name='usage_summed_once'),
        ),
        migrations.AddConstraint(
            model_name='usagesum',
            constraint=models.CheckConstraint(condition=models.Q(('hours__in', [1, 24])), name='usage_sum_of_hour_or_day'),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
