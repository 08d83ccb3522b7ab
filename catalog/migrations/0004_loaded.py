"""Models remember what the loader wrote, so that it brings up to date what nobody has changed since."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the memory."""

    dependencies = [
        ('catalog', '0003_kinds_and_units'),
    ]

    operations = [
        migrations.AddField(
            model_name='catalogmodel',
            name='loaded',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AlterField(
            model_name='catalogmodel',
            name='context_window',
            field=models.PositiveIntegerField(help_text='Tokens of input and output together; 0 where nobody counts them.'),
        ),
    ]
