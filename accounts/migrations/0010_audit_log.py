"""Creates the audit log, and the refusal of every change but the removal of an address."""

from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models

GUARD = """
CREATE FUNCTION accounts_guard_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.email = '' AND to_jsonb(NEW) - 'email' = to_jsonb(OLD) - 'email' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% on % is refused: its rows are only added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER accounts_audit_append_only BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_guard_audit();
CREATE TRIGGER accounts_audit_not_emptied BEFORE TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_guard_audit();
"""
NO_GUARD = """
DROP TRIGGER accounts_audit_not_emptied ON accounts_auditentry;
DROP TRIGGER accounts_audit_append_only ON accounts_auditentry;
DROP FUNCTION accounts_guard_audit();
"""


class Migration(migrations.Migration):
    """Adds the table and its guard."""

    dependencies = [("accounts", "0009_contents")]
    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("user_id", models.BigIntegerField(null=True)),
                ("email", models.CharField(blank=True, max_length=254)),
                ("process", models.CharField(blank=True, max_length=80)),
                ("address", models.GenericIPAddressField(null=True)),
                ("organization_id", models.CharField(blank=True, max_length=40)),
                ("what", models.CharField(max_length=60)),
                ("subject", models.CharField(blank=True, max_length=200, verbose_name="object")),
                ("before", models.JSONField(default=dict)),
                ("after", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
                "indexes": [
                    models.Index(fields=["organization_id", "-id"], name="audit_by_organization"),
                    models.Index(fields=["subject", "-id"], name="audit_by_subject"),
                    models.Index(fields=["user_id", "-id"], name="audit_by_user"),
                    models.Index(fields=["email", "-id"], name="audit_by_email"),
                    models.Index(fields=["what", "-id"], name="audit_by_what"),
                ],
            },
        ),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
