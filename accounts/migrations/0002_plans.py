"""The three plans every installation starts with."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts.plans import FIRST_PLANS, add_missing_plans


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the plans."""
    add_missing_plans(apps.get_model("accounts", "Plan"))


def remove_unused(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the plans no organization is on."""
    plans = apps.get_model("accounts", "Plan").objects.filter(code__in=FIRST_PLANS)
    plans.filter(organization=None).delete()


class Migration(migrations.Migration):
    """Adds the first plans."""

    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(add, remove_unused)]
