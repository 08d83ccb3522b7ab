"""Mark the requests that a customer's own key of a provider has served."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0019_signups_nearby"),
    ]

    operations = [
        migrations.AddField(
            "usagerecord",
            "is_own_key",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="The organization's own key was used, and its provider is paid by the organization.",
            ),
        ),
        migrations.AddConstraint(
            "usagerecord",
            models.CheckConstraint(
                condition=models.Q(("is_own_key", False), models.Q(("cost_nano", 0), ("cost_picos", 0)), _connector="OR"),
                name="usage_own_key_costs_nothing",
            ),
        ),
    ]
