"""Indexes of the lists of staff, made while everybody goes on writing."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.functions import Collate, Upper

from fastanchor.lib.quiet_indexes import AddIndexQuietly, RemoveIndexQuietly


class Migration(migrations.Migration):
    """Adds indexes by the begin of names and addresses, and of what was done."""

    atomic = False
    dependencies = [("accounts", "0014_reasons")]
    operations = [
        AddIndexQuietly(
            model_name="user",
            index=models.Index(Collate(Upper("email"), "C"), name="user_by_begin_of_email"),
        ),
        AddIndexQuietly(
            model_name="organization",
            index=models.Index(Collate(Upper("name"), "C"), name="organization_by_begin_of_name"),
        ),
        AddIndexQuietly(
            model_name="auditentry",
            index=models.Index(
                fields=["what", "-id"], opclasses=["varchar_pattern_ops", "int8_ops"], name="audit_by_what_begins"
            ),
        ),
        RemoveIndexQuietly(model_name="auditentry", name="audit_by_what"),
    ]
