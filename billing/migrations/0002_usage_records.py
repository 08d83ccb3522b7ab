"""Creates usage records, partitioned by month, with a default partition and the refusal of every change."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from billing import partitions

CREATE = """
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its rows are only added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE billing_usagerecord (
    request_id varchar(64) COLLATE "C" NOT NULL,
    organization_id varchar(40) NOT NULL,
    key_id varchar(40) NOT NULL,
    model_id varchar(200) NOT NULL,
    provider_id varchar(80) NOT NULL,
    channel_id varchar(80) NOT NULL,
    price_id varchar(80) NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    first_token_ms integer CHECK (first_token_ms >= 0),
    is_stream boolean NOT NULL,
    outcome varchar(20) NOT NULL,
    status smallint NOT NULL CHECK (status >= 0),
    input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
    cached_tokens bigint NOT NULL CHECK (cached_tokens >= 0),
    cache_write_tokens bigint NOT NULL CHECK (cache_write_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    reasoning_tokens bigint NOT NULL CHECK (reasoning_tokens >= 0),
    cost_picos bigint NOT NULL CHECK (cost_picos >= 0),
    cost_nano bigint NOT NULL CHECK (cost_nano >= 0),
    hold_nano bigint NOT NULL CHECK (hold_nano >= 0),
    is_estimated boolean NOT NULL,
    attempts smallint NOT NULL CHECK (attempts >= 0),
    finish_reason varchar(40) NOT NULL,
    error_code varchar(60) NOT NULL,
    upstream_id varchar(200) NOT NULL,
    settled_at timestamptz NOT NULL,
    CONSTRAINT usage_outcome_known
        CHECK (outcome IN ('completed', 'client_left', 'upstream_died', 'cut', 'free', 'interrupted')),
    CONSTRAINT usage_free_costs_nothing CHECK (outcome <> 'free' OR cost_nano = 0),
    PRIMARY KEY (request_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE INDEX usage_by_organization ON billing_usagerecord (organization_id, started_at DESC, request_id);
CREATE TRIGGER billing_usagerecord_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_usagerecord
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();

CREATE TABLE billing_usagerecord_default PARTITION OF billing_usagerecord DEFAULT;
CREATE TRIGGER billing_usagerecord_default_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_usagerecord_default
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
"""
DROP = """
DROP TABLE billing_usagerecord;
DROP FUNCTION billing_refuse_change();
"""


def prepare_partitions(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the partitions of this month and the next ones."""
    partitions.prepare(database=schema_editor.connection)


class Migration(migrations.Migration):
    """Adds usage records."""

    dependencies = [("billing", "0001_initial")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="UsageRecord",
                    fields=[
                        (
                            "request_id",
                            models.CharField(
                                db_collation="C", max_length=64, primary_key=True, serialize=False
                            ),
                        ),
                        ("key_id", models.CharField(max_length=40)),
                        ("model_id", models.CharField(max_length=200)),
                        ("provider_id", models.CharField(max_length=80)),
                        ("channel_id", models.CharField(max_length=80)),
                        ("price_id", models.CharField(max_length=80)),
                        ("started_at", models.DateTimeField()),
                        ("finished_at", models.DateTimeField()),
                        (
                            "first_token_ms",
                            models.PositiveIntegerField(
                                blank=True, help_text="From start to first token.", null=True
                            ),
                        ),
                        ("is_stream", models.BooleanField()),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("completed", "Completed"),
                                    ("client_left", "Client left"),
                                    ("upstream_died", "Upstream died"),
                                    ("cut", "Cut"),
                                    ("free", "Free"),
                                    ("interrupted", "Interrupted"),
                                ],
                                max_length=20,
                            ),
                        ),
                        (
                            "status",
                            models.PositiveSmallIntegerField(help_text="HTTP status sent to the caller."),
                        ),
                        ("input_tokens", models.PositiveBigIntegerField()),
                        ("cached_tokens", models.PositiveBigIntegerField()),
                        ("cache_write_tokens", models.PositiveBigIntegerField()),
                        ("output_tokens", models.PositiveBigIntegerField()),
                        ("reasoning_tokens", models.PositiveBigIntegerField()),
                        (
                            "cost_picos",
                            models.PositiveBigIntegerField(
                                help_text="Exact cost in pico-USD, before rounding."
                            ),
                        ),
                        (
                            "cost_nano",
                            models.PositiveBigIntegerField(help_text="What was charged, in nano-USD."),
                        ),
                        ("hold_nano", models.PositiveBigIntegerField()),
                        ("is_estimated", models.BooleanField()),
                        ("attempts", models.PositiveSmallIntegerField()),
                        ("finish_reason", models.CharField(blank=True, max_length=40)),
                        ("error_code", models.CharField(blank=True, max_length=60)),
                        ("upstream_id", models.CharField(blank=True, max_length=200)),
                        ("settled_at", models.DateTimeField(default=django.utils.timezone.now)),
                        (
                            "organization",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="usage_records",
                                to="accounts.organization",
                            ),
                        ),
                    ],
                ),
                migrations.AddIndex(
                    model_name="usagerecord",
                    index=models.Index(
                        fields=["organization", "-started_at", "request_id"], name="usage_by_organization"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="usagerecord",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                ["completed", "client_left", "upstream_died", "cut", "free", "interrupted"],
                            )
                        ),
                        name="usage_outcome_known",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="usagerecord",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome", "free"), _negated=True), ("cost_nano", 0), _connector="OR"
                        ),
                        name="usage_free_costs_nothing",
                    ),
                ),
            ],
        ),
        migrations.RunPython(prepare_partitions, migrations.RunPython.noop),
    ]
