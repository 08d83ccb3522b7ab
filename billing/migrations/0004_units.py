"""Usage records of more than text: parts of the tokens with rates of their own, and units beside tokens."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the columns; on the parent, from which every partition has them."""

    dependencies = [
        ('billing', '0003_guards'),
    ]

    operations = [
        migrations.AddField(
            model_name='usagerecord',
            name='audio_input_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='audio_output_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='cache_write_1h_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='cached_audio_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='characters',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='image_input_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='images',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='searches',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='seconds',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
    ]
