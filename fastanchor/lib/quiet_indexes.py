"""Indexes that migrations make while everybody goes on writing, and plainly inside a transaction, where nobody else waits.

PostgreSQL makes none concurrently inside a transaction; there are no callers in one that must not be kept waiting.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db.migrations.operations import AddIndex, RemoveIndex


class AddIndexQuietly(AddIndexConcurrently):
    """Adds an index; the migration is not atomic."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make it, concurrently where that can be."""
        kind = AddIndex if schema_editor.connection.in_atomic_block else AddIndexConcurrently
        kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Drop it in the same way."""
        kind = AddIndex if schema_editor.connection.in_atomic_block else AddIndexConcurrently
        kind.database_backwards(self, app_label, schema_editor, from_state, to_state)


class RemoveIndexQuietly(RemoveIndexConcurrently):
    """Removes an index; the migration is not atomic."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Drop it, concurrently where that can be."""
        kind = RemoveIndex if schema_editor.connection.in_atomic_block else RemoveIndexConcurrently
        kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make it again in the same way."""
        kind = RemoveIndex if schema_editor.connection.in_atomic_block else RemoveIndexConcurrently
        kind.database_backwards(self, app_label, schema_editor, from_state, to_state)
