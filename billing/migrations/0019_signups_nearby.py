"""Adds the index by which the sign-up credits of one neighbourhood are counted."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds it."""

    dependencies = [("billing", "0018_degraded")]
    operations = [
        migrations.AddIndex(
            model_name="journal",
            index=models.Index(
                condition=models.Q(("kind", "signup")),
                fields=["source_id", "created_at"],
                name="journal_signups_nearby",
            ),
        ),
    ]
