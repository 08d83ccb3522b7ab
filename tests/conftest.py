"""What tests of every area need of the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import settings

from accounts.models import Plan
from accounts.plans import add_missing_plans

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_guards() -> Iterator[None]:
    """Let the test runner, and nobody else, empty append-only tables; afterwards the plans are there again."""
    flush = DatabaseOperations.execute_sql_flush

    def unguarded(operations: DatabaseOperations, sql_list: list[str]) -> None:
        flush(operations, ["SET LOCAL session_replication_role = replica", *sql_list])
        add_missing_plans(Plan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", unguarded)
        yield
