import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_stored_responses'),
        ('billing', '0006_meter_pushes'),
    ]

    operations = [
        migrations.CreateModel(
            name='LowBalanceAlert',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='low_balance_alert', serialize=False, to='accounts.organization')),
                ('threshold_cents', models.PositiveBigIntegerField(help_text='0: no mail.')),
                ('is_armed', models.BooleanField(default=True)),
                ('told_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name='autotopup',
            name='is_notice_due',
            field=models.BooleanField(default=False, help_text='It was switched off, and its owner has yet to be told by mail.'),
        ),
        # Nothing has saved a card before this: the table is empty, and the default stands in no row.
        migrations.AddField(
            model_name='paymentmethod',
            name='customer',
            field=models.ForeignKey(default=0, on_delete=django.db.models.deletion.PROTECT, related_name='payment_methods', to='billing.stripecustomer'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='topup',
            name='card',
            field=models.ForeignKey(blank=True, help_text='The saved card that an automatic top-up charges.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='top_ups', to='billing.paymentmethod'),
        ),
        migrations.AddField(
            model_name='topup',
            name='failure_code',
            field=models.CharField(blank=True, help_text="Stripe's word for why.", max_length=80),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('source', 'auto'), _negated=True), ('card__isnull', False), _connector='OR'), name='top_up_automatic_has_card'),
        ),
    ]
