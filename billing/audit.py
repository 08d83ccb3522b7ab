"""The audit: what must hold of all money at any time, each check naming the culprits.

What PostgreSQL alone can tell is read from one snapshot. What compares it with Valkey and the spools may be under way
just now, so a failing comparison is made again until it holds or ``wait_s`` is over. While PostgreSQL stands in for
Valkey, nothing is compared with what that remembers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import redis
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from psycopg import sql

from billing import admission, audit_sql, holds, wallets
from billing.models import DeadLetter, UsageRecord, Wallet
from billing.partitions import TABLE
from billing.spool import Intent, SpoolReader, Usage, Void, spools
from fastanchor.lib.valkey import sync_client

MOST_CULPRITS = 20
WAIT_S = 3.0
_RETRY_S = 0.2
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant, and at most ``MOST_CULPRITS`` of what breaks it."""

    name: str
    title: str
    culprits: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Tell whether the invariant holds."""
        return not self.culprits


def run(*, root: Path | None = None, wait_s: float = WAIT_S) -> list[Check]:
    """Make every check and return all of them; raises ``RedisError`` or ``DatabaseError`` when one cannot be made."""
    client, folder = sync_client(), root or settings.SPOOL_DIR
    compared: list[tuple[str, str, Callable[[], Iterator[str]]]] = [
        (
            "I7",
            "Every hold belongs to a running request, or to one that is about to settle.",
            lambda: _holds(client, folder),
        ),
        ("I8", "Valkey's balances are PostgreSQL's.", lambda: _balances(client)),
        ("I11", "Every spool is acknowledged, and no dead letter is open.", lambda: _leftovers(folder)),
    ]
    deadline = time.monotonic() + wait_s
    checks = [
        *stored_checks(),
        *(Check(name, title, _insist(find, deadline)) for name, title, find in compared),
        Check("I12", "Rows of the ledger, of invoices and of usage are only added.", _bounded(_changeable())),
    ]
    return sorted(checks, key=lambda check: int(check.name[1:]))


def _bounded(culprits: Iterator[str]) -> list[str]:
    return list(islice(culprits, MOST_CULPRITS))


def _insist(find: Callable[[], Iterator[str]], deadline: float) -> list[str]:
    while (culprits := _bounded(find())) and time.monotonic() < deadline:
        time.sleep(_RETRY_S)
    return culprits


def stored_checks() -> list[Check]:
    """Make the checks that PostgreSQL alone can answer, all on one snapshot."""
    is_outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if is_outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        checks = []
        for name, (title, queries) in audit_sql.CHECKS.items():
            culprits: list[str] = []
            for query in queries:
                cursor.execute(audit_sql.bounded(query, limit=MOST_CULPRITS))
                culprits += [row[0] for row in cursor.fetchall()]
            checks.append(Check(name, title, culprits[:MOST_CULPRITS]))
    return checks


def _holds(client: redis.Redis, root: Path) -> Iterator[str]:
    if admission.is_degraded():
        return
    is_quiet = not any(_unfinished(reader)[0] for reader in spools(root))
    for organization_id in (
        Wallet.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=_CHUNK)
    ):
        known = holds.known_wallet(client, organization_id)
        if known is None:
            continue
        amounts = holds.known_holds(client, organization_id)
        if sum(amounts.values()) != known.held_nano:
            yield f"{organization_id}: holds of {sum(amounts.values())} nano-USD, but {known.held_nano} held"
        settled = UsageRecord.objects.filter(request_id__in=amounts, organization_id=organization_id)
        for request_id in settled.values_list("pk", flat=True):
            yield f"{organization_id}: {request_id} is settled and still holds {amounts[request_id]} nano-USD"
        if is_quiet and amounts and not known.running:
            yield f"{organization_id}: {min(amounts)} holds {amounts[min(amounts)]} nano-USD and is nowhere known"


def _balances(client: redis.Redis) -> Iterator[str]:
    if admission.is_degraded():
        return
    for wallet in Wallet.objects.order_by("pk").iterator(chunk_size=_CHUNK):
        known = holds.known_wallet(client, wallet.pk)
        # Valkey counts in doubles and is told no more than they can hold.
        expected = min(wallets.published(wallet).balance_nano, 2**53 - 1)
        if known is not None and known.balance_nano != expected:
            yield f"{wallet.pk}: Valkey has {known.balance_nano} nano-USD, PostgreSQL {expected}"


def _leftovers(root: Path) -> Iterator[str]:
    for reader in spools(root):
        running, ended = _unfinished(reader)
        # Nothing after the intent of a running request is acknowledged: only a spool at rest can be judged.
        if ended and not running:
            yield f"{reader.name}: {len(ended)} requests unacknowledged, among them {ended[0]}"
        if running and reader.is_orphaned():
            yield f"{reader.name}: {len(running)} requests of a dead gateway, among them {min(running)}"
    for letter in DeadLetter.objects.filter(resolved_at=None).order_by("pk")[:MOST_CULPRITS]:
        yield f"dead letter {letter.pk}: {letter.request_id} of {letter.organization_id}"


def _unfinished(reader: SpoolReader) -> tuple[set[str], list[str]]:
    """Return the running requests of a spool, and those that have ended and are not acknowledged."""
    running: set[str] = set()
    ended: list[str] = []
    while entries := reader.read(_CHUNK):
        for record, _ in entries:
            if isinstance(record, Intent):
                running.add(record.request_id)
            elif isinstance(record, Usage | Void):
                running.discard(record.request_id)
                ended.append(record.request_id)
    return running, ended


def _changeable() -> Iterator[str]:
    for table, column in _append_only():
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        for statement in (
            "UPDATE {table} SET {column} = {column} WHERE false",
            "DELETE FROM {table} WHERE false",
        ):
            if not _is_refused(sql.SQL(statement).format(**names)):
                yield f"{statement.split(' ', maxsplit=1)[0]} on {table} is not refused"


def _is_refused(statement: sql.Composed) -> bool:
    """Really try a change that would touch no row; the guards refuse it all the same."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            transaction.set_rollback(True)
    except IntegrityError:
        return True
    return False


def _append_only() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [TABLE]
        )
        partitions = [row[0] for row in cursor.fetchall()]
    usage = [(table, "organization_id") for table in (TABLE, *sorted(partitions))]
    return [
        ("billing_journal", "reason"),
        ("billing_posting", "amount_nano"),
        ("billing_invoice", "amount_cents"),
        *usage,
    ]
