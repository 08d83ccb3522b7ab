"""Requests that no upstream served leave usage records, too, and records tell of their attempts."""

from __future__ import annotations

from django.db import migrations, models

# A partition made by LIKE has the checks as its own, too: what is dropped on the parent stays there.
DROP_CHECKS = """
ALTER TABLE billing_usagerecord DROP CONSTRAINT usage_outcome_known;
ALTER TABLE billing_usagerecord DROP CONSTRAINT usage_free_costs_nothing;
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'billing_usagerecord'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS usage_outcome_known', partition);
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS usage_free_costs_nothing', partition);
    END LOOP;
END $$;
"""
FORWARDS = f"""{DROP_CHECKS}
ALTER TABLE billing_usagerecord
    ADD CONSTRAINT usage_outcome_known CHECK (outcome IN
        ('completed', 'client_left', 'upstream_died', 'cut', 'free', 'interrupted', 'failed')),
    ADD CONSTRAINT usage_free_costs_nothing CHECK (outcome NOT IN ('free', 'failed') OR cost_nano = 0);
"""
# The version before knows no failures: there they are requests of which nothing was delivered.
BACKWARDS = f"""
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'billing_usagerecord'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', partition);
        EXECUTE format('UPDATE %s SET outcome = ''free'', attempts = greatest(attempts, 1) WHERE outcome = ''failed''',
                       partition);
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', partition);
    END LOOP;
END $$;
{DROP_CHECKS}
ALTER TABLE billing_usagerecord
    ADD CONSTRAINT usage_outcome_known CHECK (outcome IN
        ('completed', 'client_left', 'upstream_died', 'cut', 'free', 'interrupted')),
    ADD CONSTRAINT usage_free_costs_nothing CHECK (outcome <> 'free' OR cost_nano = 0);
"""
OUTCOMES = [
    ("completed", "Completed"),
    ("client_left", "Client left"),
    ("upstream_died", "Upstream died"),
    ("cut", "Cut"),
    ("free", "Free"),
    ("interrupted", "Interrupted"),
    ("failed", "Failed"),
]


class Migration(migrations.Migration):
    """Adds the outcome and the attempts; on the parent, from which every partition has them."""

    dependencies = [("billing", "0010_invoices")]
    operations = [
        migrations.AddField(
            model_name="usagerecord",
            name="attempts_made",
            field=models.JSONField(
                blank=True,
                help_text="Provider, channel, status, error code and milliseconds of each attempt; "
                "none where the model's own provider served at once.",
                null=True,
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARDS, BACKWARDS)],
            state_operations=[
                migrations.AlterField(
                    model_name="usagerecord",
                    name="outcome",
                    field=models.CharField(choices=OUTCOMES, max_length=20),
                ),
                migrations.RemoveConstraint(model_name="usagerecord", name="usage_outcome_known"),
                migrations.RemoveConstraint(model_name="usagerecord", name="usage_free_costs_nothing"),
                migrations.AddConstraint(
                    model_name="usagerecord",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("outcome__in", [name for name, _ in OUTCOMES])),
                        name="usage_outcome_known",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="usagerecord",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome__in", ["free", "failed"]), _negated=True),
                            ("cost_nano", 0),
                            _connector="OR",
                        ),
                        name="usage_free_costs_nothing",
                    ),
                ),
            ],
        ),
    ]
