import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds what PostgreSQL keeps to stand in for Valkey; rows come and go, so their tables are swept often."""

    dependencies = [
        ('billing', '0017_considered'),
    ]

    operations = [
        migrations.CreateModel(
            name='Admission',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('period', models.PositiveBigIntegerField(default=1)),
                ('is_degraded', models.BooleanField(default=False, help_text='PostgreSQL decides, because Valkey is away.')),
                ('is_open', models.BooleanField(default=False, help_text='Every hold of before is known here, so that new ones may be placed.')),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
                ('complete_epoch', models.CharField(blank=True, help_text="The life of Valkey's memory in which it took over with every hold in PostgreSQL.", max_length=80)),
            ],
            options={
                'verbose_name_plural': 'admission',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='admission_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='DegradedHold',
            fields=[
                ('request_id', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('organization_id', models.CharField(db_index=True, max_length=40)),
                ('key_id', models.CharField(max_length=40)),
                ('member', models.CharField(blank=True, max_length=40)),
                ('amount_nano', models.BigIntegerField()),
                ('spool', models.CharField(max_length=60)),
                ('is_running', models.BooleanField(default=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_nano__gte', 0)), name='degraded_hold_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='GatewayProcess',
            fields=[
                ('spool', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('host', models.CharField(max_length=60)),
                ('seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('period', models.PositiveBigIntegerField(default=0, help_text='The last period that it has followed.')),
                ('valkey_answers', models.BooleanField(default=True)),
                ('placed', models.PositiveBigIntegerField(default=0, help_text='Holds that PostgreSQL has placed for it.')),
                ('refused', models.PositiveBigIntegerField(default=0, help_text='Requests it had to refuse because no hold could be decided.')),
            ],
            options={
                'verbose_name_plural': 'gateway processes',
            },
        ),
        migrations.CreateModel(
            name='SpoolHost',
            fields=[
                ('host', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('period', models.PositiveBigIntegerField(default=0)),
            ],
        ),
    ]
