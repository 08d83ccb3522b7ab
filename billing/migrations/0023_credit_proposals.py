"""Credit that one member of staff proposes and another books; and who may pay bought credit back."""

from __future__ import annotations

import billing.models.credit
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the table and the permissions."""

    dependencies = [
        ('accounts', '0013_customers'),
        ('billing', '0022_business_figures'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='topup',
            options={'permissions': [('sync_topup', 'Can sync with Stripe'), ('refund_topup', 'Can pay unused credit back to its card')], 'verbose_name': 'top-up'},
        ),
        migrations.CreateModel(
            name='CreditProposal',
            fields=[
                ('id', models.CharField(default=billing.models.credit.new_proposal_id, editable=False, max_length=40, primary_key=True, serialize=False)),
                ('amount_nano', models.BigIntegerField()),
                ('reason', models.CharField(max_length=300)),
                ('credit_expires_at', models.DateTimeField(blank=True, help_text='When the credit itself ends.', null=True)),
                ('state', models.CharField(choices=[('open', 'Open'), ('approved', 'Approved'), ('declined', 'Declined'), ('withdrawn', 'Withdrawn'), ('expired', 'Expired')], default='open', max_length=20)),
                ('proposed_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('valid_until', models.DateTimeField(default=billing.models.credit.end_of_proposal)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('decision', models.CharField(blank=True, max_length=300, verbose_name='why')),
                ('form_key', models.CharField(help_text='Makes a second click the same proposal.', max_length=200, unique=True)),
                ('decided_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('journal', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='credit_proposal', to='billing.journal')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='credit_proposals', to='accounts.organization')),
                ('proposed_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'permissions': [('approve_credit', 'Can approve credit that another member of staff proposed')],
                'indexes': [models.Index(condition=models.Q(('state', 'open')), fields=['valid_until'], name='proposal_open'), models.Index(fields=['organization', '-id'], name='proposal_by_organization')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_nano__gt', 0)), name='proposal_positive'), models.CheckConstraint(condition=models.Q(models.Q(('journal__isnull', False), ('state', 'approved')), models.Q(models.Q(('state', 'approved'), _negated=True), ('journal__isnull', True)), _connector='OR'), name='proposal_booked_once_approved'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved'), _negated=True), models.Q(('decided_by__isnull', False), models.Q(('decided_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='proposal_needs_a_second_person')],
            },
        ),
    ]
