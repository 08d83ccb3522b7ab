from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder


def test_every_change_of_a_table_has_its_migration(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_app_has_one_newest_migration(db: None) -> None:
    graph = MigrationExecutor(connection).loader.graph

    for app in ("accounts", "billing", "catalog"):
        assert len(graph.leaf_nodes(app)) == 1, app


def test_ready_answers_once_everything_is_migrated(db: None) -> None:
    call_command("ready")


def test_ready_says_what_is_missing(db: None) -> None:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("billing")[0]
    MigrationRecorder(connection).record_unapplied(*newest)

    with pytest.raises(CommandError, match="migrations are not applied"):
        call_command("ready")
