"""Adds the ledger and what providers served by day, counts what there is, and lets the database go on with the ledger."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# The trigger locks the postings until the migration is over: what is booked meanwhile waits, and is in the deltas.
LEDGER = """
CREATE FUNCTION billing_note_booked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_ledgerdelta (day, kind, code, postings, amount_nano)
    SELECT (journal.effective_at AT TIME ZONE 'UTC')::date, journal.kind, account.code, count(*),
           sum(fresh.amount_nano)::bigint
    FROM fresh JOIN billing_journal journal ON journal.id = fresh.journal_id
    JOIN billing_account account ON account.id = fresh.account_id GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;
CREATE TRIGGER billing_posting_noted AFTER INSERT ON billing_posting
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION billing_note_booked();
INSERT INTO billing_ledgerday (day, kind, code, postings, amount_nano)
SELECT (journal.effective_at AT TIME ZONE 'UTC')::date, journal.kind, account.code, count(*),
       sum(posting.amount_nano)::bigint
FROM billing_posting posting JOIN billing_journal journal ON journal.id = posting.journal_id
JOIN billing_account account ON account.id = posting.account_id GROUP BY 1, 2, 3;
"""
NO_LEDGER = """
DROP TRIGGER billing_posting_noted ON billing_posting;
DROP FUNCTION billing_note_booked();
"""
# Who served is the last that was asked; where nothing is written down, the model's own provider.
SERVED = """
INSERT INTO billing_servedday (day, provider_id, model_id, requests, cost_nano)
SELECT (started_at AT TIME ZONE 'UTC')::date, coalesce(attempts_made->-1->>0, provider_id), model_id, count(*),
       sum(cost_nano)::bigint
FROM billing_usagerecord WHERE cost_nano > 0 AND NOT is_own_key GROUP BY 1, 2, 3;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0011_session_digests'),
        ('billing', '0021_usage_sum_by_model'),
    ]

    operations = [
        migrations.CreateModel(
            name='BillFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider_id', models.CharField(max_length=80)),
                ('name', models.CharField(help_text='As the file was called.', max_length=200)),
                ('sha256', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('waiting', 'Waits for a confirmation'), ('in_force', 'In force')], default='waiting', max_length=20)),
                ('lines', models.PositiveIntegerField()),
                ('first_day', models.DateField()),
                ('last_day', models.DateField()),
                ('amount_nano', models.BigIntegerField()),
                ('reason', models.CharField(max_length=300)),
                ('uploaded_by', models.CharField(help_text='user:<id>.', max_length=80)),
                ('uploaded_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('confirmed_by', models.CharField(blank=True, max_length=80)),
            ],
            options={
                'permissions': [('upload_bill', 'Can upload what providers billed')],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='LedgerDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(help_text='The day (UTC) in which the journals are effective.')),
                ('kind', models.CharField(choices=[('signup', 'Sign-up credit'), ('grant', 'Promotional credit'), ('adjustment', 'Adjustment'), ('top_up', 'Top-up'), ('refund', 'Refund'), ('refund_failed', 'Failed refund'), ('dispute', 'Dispute'), ('stripe', "Stripe's own"), ('usage', 'Usage'), ('expiry', 'Expiry'), ('correction', 'Correction'), ('write_off', 'Write-off')], max_length=20)),
                ('code', models.CharField(choices=[('wallet_paid', 'Wallet: paid'), ('wallet_promo', 'Wallet: promotional'), ('stripe_clearing', 'Stripe clearing'), ('manual_clearing', 'Manual clearing'), ('usage_revenue', 'Usage revenue'), ('promo_expense', 'Promotional expense'), ('bank', 'Bank'), ('stripe_reserve', 'Stripe reserve'), ('stripe_fees', 'Stripe fees'), ('dispute_loss', 'Dispute loss'), ('breakage', 'Breakage'), ('rounding', 'Rounding')], max_length=40)),
                ('postings', models.BigIntegerField()),
                ('amount_nano', models.BigIntegerField()),
            ],
            options={
                'permissions': [('view_figures', 'Can see revenue, cost and liabilities, and what providers billed')],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='LedgerDelta',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(help_text='The day (UTC) in which the journals are effective.')),
                ('kind', models.CharField(choices=[('signup', 'Sign-up credit'), ('grant', 'Promotional credit'), ('adjustment', 'Adjustment'), ('top_up', 'Top-up'), ('refund', 'Refund'), ('refund_failed', 'Failed refund'), ('dispute', 'Dispute'), ('stripe', "Stripe's own"), ('usage', 'Usage'), ('expiry', 'Expiry'), ('correction', 'Correction'), ('write_off', 'Write-off')], max_length=20)),
                ('code', models.CharField(choices=[('wallet_paid', 'Wallet: paid'), ('wallet_promo', 'Wallet: promotional'), ('stripe_clearing', 'Stripe clearing'), ('manual_clearing', 'Manual clearing'), ('usage_revenue', 'Usage revenue'), ('promo_expense', 'Promotional expense'), ('bank', 'Bank'), ('stripe_reserve', 'Stripe reserve'), ('stripe_fees', 'Stripe fees'), ('dispute_loss', 'Dispute loss'), ('breakage', 'Breakage'), ('rounding', 'Rounding')], max_length=40)),
                ('postings', models.BigIntegerField()),
                ('amount_nano', models.BigIntegerField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ProviderBill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider_id', models.CharField(max_length=80)),
                ('day', models.DateField()),
                ('model', models.CharField(blank=True, help_text='As the provider calls it; empty for the whole day.', max_length=200)),
                ('amount_nano', models.BigIntegerField()),
                ('is_current', models.BooleanField(default=False, help_text='It counts: confirmed, and not replaced by a later file.')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ServedDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(help_text='The day (UTC) in which the requests were started.')),
                ('provider_id', models.CharField(help_text="Who served; not always the model's own provider.", max_length=80)),
                ('model_id', models.CharField(max_length=200)),
                ('requests', models.BigIntegerField(help_text='Requests that cost something.')),
                ('cost_nano', models.BigIntegerField(help_text='What they were charged, in nano-USD.')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='journal',
            index=models.Index(fields=['effective_at', 'id'], name='journal_by_day'),
        ),
        migrations.AddIndex(
            model_name='journal',
            index=models.Index(fields=['kind', 'id'], name='journal_by_kind'),
        ),
        migrations.AddConstraint(
            model_name='billfile',
            constraint=models.UniqueConstraint(fields=('provider_id', 'sha256'), name='bill_file_once'),
        ),
        migrations.AddConstraint(
            model_name='ledgerday',
            constraint=models.UniqueConstraint(fields=('day', 'kind', 'code'), name='ledger_day_once'),
        ),
        migrations.AddField(
            model_name='providerbill',
            name='file',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bills', to='billing.billfile'),
        ),
        migrations.AddConstraint(
            model_name='servedday',
            constraint=models.UniqueConstraint(fields=('day', 'provider_id', 'model_id'), name='served_day_once'),
        ),
        migrations.AddIndex(
            model_name='providerbill',
            index=models.Index(condition=models.Q(('is_current', True)), fields=['day'], name='provider_bill_by_day'),
        ),
        migrations.AddConstraint(
            model_name='providerbill',
            constraint=models.UniqueConstraint(condition=models.Q(('is_current', True)), fields=('provider_id', 'day', 'model'), name='provider_bill_current_once'),
        ),
        migrations.AddConstraint(
            model_name='providerbill',
            constraint=models.UniqueConstraint(fields=('file', 'day', 'model'), name='provider_bill_once_a_file'),
        ),
        migrations.AddConstraint(
            model_name='providerbill',
            constraint=models.CheckConstraint(condition=models.Q(('amount_nano__gte', 0)), name='provider_bill_not_negative'),
        ),
        migrations.RunSQL(LEDGER, NO_LEDGER),
        migrations.RunSQL(SERVED, migrations.RunSQL.noop),
    ]
