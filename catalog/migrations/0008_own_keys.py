"""Let customers' own keys of providers be channels."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("catalog", "0007_credentials"),
    ]

    operations = [
        migrations.AddField(
            "channel",
            "own_key",
            models.CharField(
                blank=True,
                choices=[("only", "Only my key"), ("first", "My key first, then FastAnchor's credit")],
                db_default="",
                default="",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AddField(
            "credential",
            "told_revision",
            models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddConstraint(
            "channel",
            models.CheckConstraint(
                condition=models.Q(
                    ("own_key", ""),
                    models.Q(("dedicated_to__isnull", False), ("own_key__in", ["only", "first"])),
                    _connector="OR",
                ),
                name="channel_own_key_is_somebodys",
            ),
        ),
        migrations.AddConstraint(
            "channel",
            models.UniqueConstraint(
                condition=models.Q(("own_key", ""), _negated=True),
                fields=("dedicated_to", "provider"),
                name="channel_own_key_once",
            ),
        ),
    ]
