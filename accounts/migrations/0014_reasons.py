"""Adds the reason to the audit log, which the database fills in for older processes, and the right to give roles."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds one column, without touching a row, and one permission."""

    dependencies = [("accounts", "0013_customers")]
    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="reason",
            field=models.CharField(blank=True, db_default="", default="", max_length=300),
        ),
        migrations.AlterModelOptions(
            name="user",
            options={
                "permissions": [
                    ("assign_roles", "Can make people staff and give them roles"),
                    ("hijack_user", "Can log in as a customer, to look"),
                ]
            },
        ),
    ]
