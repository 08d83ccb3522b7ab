"""Give channels several credentials, limits of their own, and perhaps one organization that alone may use them."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import catalog.models
from fastanchor.lib.ids import new_id


def move_to_credentials(apps: Any, schema_editor: Any) -> None:
    """Make each channel's sealed credential its first; it stays bound to the channel and need not be opened."""
    credential = apps.get_model("catalog", "Credential")
    credential.objects.bulk_create(
        [
            credential(
                id=new_id("cred"),
                channel=channel,
                name="main",
                sealed=channel.sealed_credential,
                last4=channel.credential_last4,
                created_at=channel.created_at,
            )
            for channel in apps.get_model("catalog", "Channel").objects.order_by("pk")
        ]
    )
    # Tables with rows that are still to be checked cannot be altered.
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def move_to_channels(apps: Any, schema_editor: Any) -> None:
    """Give each channel its first credential back; the others are lost, for there is no place for them."""
    for channel in apps.get_model("catalog", "Channel").objects.order_by("pk"):
        first = channel.credentials.order_by("created_at", "pk").first()
        if first is not None:
            channel.sealed_credential, channel.credential_last4 = first.sealed, first.last4
            channel.save(update_fields=["sealed_credential", "credential_last4"])


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0009_contents"),
        ("catalog", "0006_incidents"),
    ]

    operations = [
        migrations.CreateModel(
            name="Credential",
            fields=[
                ("id", models.CharField(default=catalog.models.new_credential_id, editable=False, max_length=40, primary_key=True, serialize=False)),
                ("name", models.CharField(help_text="How staff tell it from the channel's others.", max_length=80)),
                ("sealed", models.TextField(editable=False)),
                ("last4", models.CharField(blank=True, editable=False, max_length=4)),
                ("is_enabled", models.BooleanField(default=True)),
                ("disabled_reason", models.CharField(blank=True, max_length=200)),
                ("revision", models.PositiveIntegerField(default=1, editable=False)),
                ("retry_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retries", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("channel", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="credentials", to="catalog.channel")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("channel", "name"), name="credential_name_once")]},
        ),
        # An empty text goes in when this is undone, before the credentials come back.
        migrations.AlterField("channel", "sealed_credential", models.TextField(default="", editable=False)),
        migrations.RunPython(move_to_credentials, move_to_channels),
        migrations.RemoveField("channel", "sealed_credential"),
        migrations.RemoveField("channel", "credential_last4"),
        migrations.AddField(
            "channel",
            "requests_per_minute",
            models.PositiveIntegerField(db_default=0, default=0, help_text="What the provider allows this channel; 0 for no limit."),
        ),
        migrations.AddField(
            "channel",
            "tokens_per_minute",
            models.PositiveIntegerField(db_default=0, default=0, help_text="Input and output together; 0 for no limit."),
        ),
        migrations.AddField(
            "channel",
            "concurrency",
            models.PositiveIntegerField(db_default=0, default=0, help_text="Requests that may run at once; 0 for no limit."),
        ),
        migrations.AddField(
            "channel",
            "dedicated_to",
            models.ForeignKey(
                blank=True,
                help_text="Only this organization may use it, and its requests try it first.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="dedicated_channels",
                to="accounts.organization",
            ),
        ),
    ]
