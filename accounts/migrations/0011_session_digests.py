"""Puts digests in the place of the tokens of sessions; everybody stays logged in. Back, everybody logs in anew."""

from __future__ import annotations

from django.db import migrations

# As accounts/session_store.py makes them of tokens of 32 characters, which Django's keys are.
DIGEST = """
UPDATE {table} SET session_key = left(encode(sha256(convert_to(session_key, 'UTF8')), 'hex'), 40)
WHERE length(session_key) = 32
"""
TABLES = ("django_session", "usersessions_usersession")


class Migration(migrations.Migration):
    """Rewrites two tables of other apps."""

    dependencies = [
        ("accounts", "0010_audit_log"),
        ("sessions", "0001_initial"),
        ("usersessions", "0001_initial"),
    ]
    operations = [
        migrations.RunSQL(DIGEST.format(table=table), f"DELETE FROM {table}") for table in TABLES
    ]
