"""The legal documents every installation starts with, as drafts that a lawyer must still approve."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts.legal import FIRST_DOCUMENTS, add_missing_documents


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the documents."""
    add_missing_documents(
        apps.get_model("accounts", "LegalDocument"), apps.get_model("accounts", "LegalVersion")
    )


def remove_untouched(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the documents that nobody has revised."""
    documents = apps.get_model("accounts", "LegalDocument").objects.filter(slug__in=FIRST_DOCUMENTS)
    untouched = documents.exclude(versions__saved_by__isnull=False)
    slugs = list(untouched.values_list("slug", flat=True))
    apps.get_model("accounts", "LegalVersion").objects.filter(document__in=slugs).delete()
    documents.filter(slug__in=slugs).delete()


class Migration(migrations.Migration):
    """Adds the first documents."""

    dependencies = [("accounts", "0005_legal_documents")]
    operations = [migrations.RunPython(add, remove_untouched)]
