"""Incidents and their updates, for the status page."""

from __future__ import annotations

import catalog.models
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds both tables."""

    dependencies = [
        ('catalog', '0005_life_cycle'),
    ]

    operations = [
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.CharField(default=catalog.models.new_incident_id, editable=False, max_length=40, primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=200)),
                ('impact', models.CharField(choices=[('degraded', 'Degraded'), ('partial', 'Partial outage'), ('major', 'Major outage'), ('maintenance', 'Maintenance')], max_length=20)),
                ('state', models.CharField(choices=[('investigating', 'Investigating'), ('identified', 'Identified'), ('monitoring', 'Monitoring'), ('resolved', 'Resolved')], default='investigating', editable=False, max_length=20)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('resolved_at', models.DateTimeField(editable=False, null=True)),
                ('affected_models', models.ManyToManyField(blank=True, related_name='incidents', to='catalog.catalogmodel')),
                ('affected_providers', models.ManyToManyField(blank=True, related_name='incidents', to='catalog.provider')),
            ],
        ),
        migrations.CreateModel(
            name='IncidentUpdate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('investigating', 'Investigating'), ('identified', 'Identified'), ('monitoring', 'Monitoring'), ('resolved', 'Resolved')], max_length=20)),
                ('body', models.TextField(help_text='Markdown; HTML is shown as it is written.', max_length=5000)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('incident', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='updates', to='catalog.incident')),
            ],
        ),
        migrations.AddIndex(
            model_name='incident',
            index=models.Index(fields=['-started_at', 'id'], name='incident_newest_first'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', False), ('state', 'resolved')), models.Q(models.Q(('state', 'resolved'), _negated=True), ('resolved_at__isnull', True)), _connector='OR'), name='incident_resolved_or_open'),
        ),
    ]
