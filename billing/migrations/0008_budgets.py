import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# Months come from what keys have spent, days from the usage records of this week and the last: no budget looks back
# further. A key counts for the member who created it and for its organization.
FILL = """
ALTER TABLE billing_spend SET (fillfactor = 50);
INSERT INTO billing_spend (organization_id, subject, period, cost_nano)
SELECT key.organization_id, subject, spend.month::integer, sum(spend.cost_nano)
FROM billing_keyspend AS spend JOIN accounts_apikey AS key ON key.id = spend.key_id
CROSS JOIN LATERAL (VALUES (key.id), (key.organization_id), ('user_' || key.created_by_id)) AS of (subject)
WHERE subject IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO billing_spend (organization_id, subject, period, cost_nano)
SELECT record.organization_id, subject, to_char(started_at AT TIME ZONE 'UTC', 'YYYYMMDD')::integer, sum(cost_nano)
FROM billing_usagerecord AS record LEFT JOIN accounts_apikey AS key ON key.id = record.key_id
CROSS JOIN LATERAL (VALUES (record.key_id), (record.organization_id), ('user_' || key.created_by_id)) AS of (subject)
WHERE subject IS NOT NULL
  AND started_at >= date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '7 days'
GROUP BY 1, 2, 3;
"""
FILL_BACK = """
ALTER TABLE billing_keyspend SET (fillfactor = 50);
INSERT INTO billing_keyspend (key_id, month, cost_nano)
SELECT subject, period::text, sum(cost_nano) FROM billing_spend
WHERE period < 1000000 AND subject <> organization_id AND left(subject, 5) <> 'user_' GROUP BY 1, 2;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_budgets'),
        ('billing', '0007_automatic_top_ups'),
    ]

    operations = [
        migrations.CreateModel(
            name='BudgetAlert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(max_length=40)),
                ('window', models.CharField(choices=[('day', 'day'), ('week', 'week'), ('month', 'month'), ('lifetime', 'lifetime')], max_length=10)),
                ('period', models.CharField(max_length=8)),
                ('percent', models.PositiveSmallIntegerField()),
                ('budget_nano', models.BigIntegerField(help_text='The budget of which the mail told.')),
                ('told_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='budget_alerts', to='accounts.organization')),
            ],
        ),
        migrations.CreateModel(
            name='Spend',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(help_text="A key's id, the organization's, or user_ and the number of a member.", max_length=40)),
                ('period', models.PositiveIntegerField(help_text="YYYYMMDD or YYYYMM of the requests' start.")),
                ('cost_nano', models.BigIntegerField(default=0)),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='spending', to='accounts.organization')),
            ],
        ),
        migrations.RunSQL(FILL, FILL_BACK),
        migrations.DeleteModel(
            name='KeySpend',
        ),
        migrations.AddConstraint(
            model_name='budgetalert',
            constraint=models.UniqueConstraint(fields=('organization', 'subject', 'window', 'period', 'percent'), name='budget_alert_once'),
        ),
        migrations.AddConstraint(
            model_name='spend',
            constraint=models.UniqueConstraint(fields=('organization', 'subject', 'period'), name='spend_once_a_period'),
        ),
        migrations.AddConstraint(
            model_name='spend',
            constraint=models.CheckConstraint(condition=models.Q(('cost_nano__gte', 0)), name='spend_not_negative'),
        ),
    ]
