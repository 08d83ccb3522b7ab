"""How well requests are served, by model, hour and day; ``manage.py health_rebuild`` counts what was before."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the table; room on its pages keeps the updates of the present hour in place."""

    dependencies = [
        ('billing', '0011_failed_requests'),
    ]

    operations = [
        migrations.CreateModel(
            name='Health',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('period', models.PositiveBigIntegerField(help_text="YYYYMMDDHH or YYYYMMDD of the requests' start.")),
                ('provider_id', models.CharField(max_length=80)),
                ('model_id', models.CharField(max_length=200)),
                ('served', models.PositiveBigIntegerField(default=0)),
                ('failed', models.PositiveBigIntegerField(default=0)),
                ('first_token', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, help_text='Streams by the time to their first token.', size=None)),
                ('whole', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, help_text='Whole answers by their duration.', size=None)),
            ],
            options={
                'indexes': [models.Index(fields=['model_id', 'period'], name='health_by_model')],
                'constraints': [models.UniqueConstraint(fields=('period', 'provider_id', 'model_id'), name='health_once_a_period')],
            },
        ),
        migrations.RunSQL("ALTER TABLE billing_health SET (fillfactor = 70)", migrations.RunSQL.noop),
    ]
