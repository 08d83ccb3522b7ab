import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


APPEND_ONLY = """
CREATE TRIGGER billing_invoice_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_invoice
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
"""
NOT_APPEND_ONLY = "DROP TRIGGER billing_invoice_append_only ON billing_invoice;"


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_stored_responses'),
        ('billing', '0009_staff_fixes'),
    ]

    operations = [
        migrations.CreateModel(
            name='BillingDetails',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='billing_details', serialize=False, to='accounts.organization')),
                ('name', models.CharField(blank=True, help_text="Empty: the organization's own.", max_length=200)),
                ('email', models.EmailField(blank=True, help_text="Empty: the owner's.", max_length=254)),
                ('line1', models.CharField(blank=True, max_length=200)),
                ('line2', models.CharField(blank=True, max_length=200)),
                ('city', models.CharField(blank=True, max_length=100)),
                ('state', models.CharField(blank=True, max_length=100)),
                ('postal_code', models.CharField(blank=True, max_length=20)),
                ('country', models.CharField(blank=True, help_text='Two letters, as in ISO 3166-1.', max_length=2)),
                ('actor', models.CharField(default='stripe', help_text='Who told us: user:<id>, or stripe for its own page.', max_length=80)),
                ('revision', models.PositiveIntegerField(default=0)),
                ('refusal', models.CharField(blank=True, help_text='Why Stripe does not take them.', max_length=300)),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('number', models.CharField(max_length=20, primary_key=True, serialize=False)),
                ('year', models.PositiveSmallIntegerField()),
                ('position', models.PositiveIntegerField(help_text='1 for the first document of a year, and no gap after it.')),
                ('kind', models.CharField(choices=[('invoice', 'Invoice'), ('credit_note', 'Credit note'), ('cancellation', 'Cancellation of a credit note')], max_length=20)),
                ('issued_at', models.DateTimeField()),
                ('amount_cents', models.PositiveBigIntegerField(help_text='In US dollars, tax included.')),
                ('tax_cents', models.PositiveBigIntegerField(default=0)),
                ('seller', models.JSONField()),
                ('buyer', models.JSONField()),
                ('payment', models.CharField(help_text='How it was paid, in words.', max_length=120)),
                ('note', models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.CreateModel(
            name='InvoiceCounter',
            fields=[
                ('year', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('last', models.PositiveIntegerField(default=0)),
                ('issued_at', models.DateTimeField(help_text='No later document is dated before this.')),
            ],
        ),
        migrations.CreateModel(
            name='TaxId',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=20)),
                ('value', models.CharField(max_length=40)),
                ('refusal', models.CharField(blank=True, help_text='Why Stripe does not take it.', max_length=300)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.AddField(
            model_name='stripecustomer',
            name='details_revision',
            field=models.PositiveIntegerField(default=0, help_text='Which revision of the billing details Stripe was told.'),
        ),
        migrations.AddIndex(
            model_name='journal',
            index=models.Index(condition=models.Q(('kind__in', ['refund', 'refund_failed', 'top_up'])), fields=['organization'], name='journal_invoiced'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='corrects',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='billing.invoice'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='journal',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='invoice', to='billing.journal'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='accounts.organization'),
        ),
        migrations.AddField(
            model_name='taxid',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tax_ids', to='accounts.organization'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(fields=['organization', '-issued_at'], name='invoice_by_organization'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(fields=('year', 'position'), name='invoice_position_once'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('amount_cents__gt', 0), ('position__gt', 0)), name='invoice_positive'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('tax_cents__lte', models.F('amount_cents'))), name='invoice_tax_is_part'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('corrects__isnull', True), ('kind', 'invoice')), models.Q(models.Q(('kind', 'invoice'), _negated=True), ('corrects__isnull', False)), _connector='OR'), name='invoice_corrects_another'),
        ),
        migrations.AddConstraint(
            model_name='taxid',
            constraint=models.UniqueConstraint(fields=('organization', 'kind', 'value'), name='tax_id_once'),
        ),
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
    ]
