"""Notices that customers read on their dashboard, and who has put one away."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two tables."""

    dependencies = [
        ('accounts', '0011_session_digests'),
    ]

    operations = [
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=120)),
                ('text', models.TextField(blank=True, help_text='Markdown; two sentences at most read well.', max_length=1000)),
                ('level', models.CharField(choices=[('info', 'Information'), ('warning', 'Warning')], default='info', max_length=10)),
                ('starts_at', models.DateTimeField(default=django.utils.timezone.now, help_text='UTC.', verbose_name='from')),
                ('ends_at', models.DateTimeField(blank=True, help_text='UTC; empty until somebody sets it.', null=True, verbose_name='until')),
                ('plan', models.ForeignKey(blank=True, help_text='Only organizations of this plan read it; empty for all.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='accounts.plan')),
            ],
        ),
        migrations.CreateModel(
            name='NoticeDismissal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('notice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='dismissals', to='accounts.notice')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='dismissals', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at', None), ('ends_at__gt', models.F('starts_at')), _connector='OR'), name='notice_ends_after_it_starts', violation_error_message='It has to end after it begins.'),
        ),
        migrations.AddConstraint(
            model_name='noticedismissal',
            constraint=models.UniqueConstraint(fields=('user', 'notice'), name='notice_dismissed_once'),
        ),
    ]
