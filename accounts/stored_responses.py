"""Stored responses in PostgreSQL: sealed, bound to their organization, gone when they expire.

Each row holds the response and everything said before it, so that going on with a conversation reads one row however
long it is, and deleting or expiring an earlier response breaks no later one. The price is that a turn's text stands in
every later turn's row; the cap on one row's size bounds it.

These are the loaders of ``accounts.archive``; they never log what they handle.
"""

from __future__ import annotations

import contextlib
import logging
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, QuerySet, Sum
from django.utils import timezone
from redis.exceptions import RedisError

from accounts import audit
from accounts.archive import LEASE_S, ArchiveFull, Kept, Status
from accounts.expiry import BATCH, delete_expired
from accounts.models import Organization, StoredResponse
from accounts.rooms import Rooms
from fastanchor.lib import changes
from fastanchor.lib.crypto import CannotUnseal, seal_bytes, unseal_bytes
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)

# Announced with the id of a response on which no work is wanted any more.
TOPIC = "responses"
# What the button that deletes all deletes while its presser waits.
FORGET_BATCHES = 20
_PROCESS_DIED = {"code": "server_error", "message": "The work on this response broke off. Ask again."}


class TooLate(Exception):
    """Nobody waits for what was to be written; it was not."""


def save(kept: Kept, until: float) -> None:
    """Keep a new response; raises ``TooLate`` when it is not written by ``until`` (unix seconds), and ``ArchiveFull``."""
    created_at = datetime.fromtimestamp(kept.created_at, UTC)
    with _written_by(until):
        if not _rooms.take(kept.organization_id, len(kept.body)):
            raise ArchiveFull
        StoredResponse.objects.create(
            id=kept.id,
            organization_id=kept.organization_id,
            made_by_key=kept.key_id,
            model=kept.model_id,
            status=kept.status,
            is_background=kept.is_background,
            created_at=created_at,
            expires_at=created_at + timedelta(days=days_of(kept.organization_id)),
            leased_until=_lease() if kept.status == "in_progress" else None,
            size=len(kept.body),
            sealed_body=_seal(kept),
        )


def find(organization_id: str, response_id: str) -> Kept | None:
    """Return a response of this organization that has not expired; one whose process has died has failed."""
    with _bounded():
        row = _live(organization_id, response_id).first()
    kept = None if row is None else _open(row)
    if row is None or kept is None or not _is_abandoned(row):
        return kept
    failed = kept.turned("failed", _PROCESS_DIED)
    with _bounded():
        was_ours = StoredResponse.objects.filter(
            pk=row.pk, status="in_progress", leased_until=row.leased_until
        ).update(status="failed", leased_until=None, sealed_body=_seal(failed))
    return failed if was_ours else find(organization_id, response_id)


def delete(organization_id: str, response_id: str) -> bool:
    """Delete a response and tell whether there was one."""
    with _bounded():
        rows = _live(organization_id, response_id)
        status = rows.values_list("status", flat=True).first()
        deleted, _ = rows.delete()
        if deleted and status == "in_progress":
            transaction.on_commit(partial(_announce, response_id))
    if deleted:
        _rooms.forget(organization_id)
    return bool(deleted)


def days_of(organization_id: str) -> int:
    """Return for how many days an organization's responses are kept."""
    own = Organization.objects.filter(pk=organization_id).values_list("responses_days", flat=True).first()
    return settings.RESPONSES_DAYS if own is None else min(own, settings.RESPONSES_DAYS)


def keep_for(organization: Organization, days: int) -> None:
    """Keep responses for so many days from now on; those that are older already are gone at once."""
    before = organization.responses_days
    with transaction.atomic():
        organization.responses_days = days
        organization.save(update_fields=["responses_days"])
        audit.record_change(
            "organization.responses_kept",
            before={"days": before},
            after={"days": days},
            subject=f"organization {organization.pk}",
            organization_id=organization.pk,
        )
        ends_at = F("created_at") + timedelta(days=days)
        StoredResponse.objects.filter(organization=organization, expires_at__gt=ends_at).update(
            expires_at=ends_at
        )


def count_of(organization_id: str) -> tuple[int, int]:
    """Return how many responses an organization keeps, and how many bytes."""
    live = StoredResponse.objects.filter(organization_id=organization_id, expires_at__gt=timezone.now())
    found = live.aggregate(rows=Count("pk"), used=Sum("size"))
    return found["rows"], found["used"] or 0


def forget_all(organization_id: str) -> int:
    """Delete every response of an organization; returns how many. From now on none of them can be read.

    What is more than one call should delete is left to ``expire``.
    """
    now = timezone.now()
    rows = StoredResponse.objects.filter(organization_id=organization_id)
    with transaction.atomic():
        for response_id in rows.filter(status="in_progress").values_list("pk", flat=True):
            transaction.on_commit(partial(_announce, response_id))
        count = rows.filter(expires_at__gt=now).update(expires_at=now, status="cancelled", leased_until=None)
    for _ in range(FORGET_BATCHES):
        batch = list(rows.filter(expires_at__lte=now).values_list("pk", flat=True)[:BATCH])
        StoredResponse.objects.filter(pk__in=batch).delete()
        if len(batch) < BATCH:
            break
    _rooms.forget(organization_id)
    return count


def cancel(organization_id: str, response_id: str) -> Kept | None:
    """Cancel a response that is worked on in the background and return it; any other is returned as it is."""
    with _bounded():
        row = _live(organization_id, response_id).select_for_update(no_key=True).first()
        kept = None if row is None else _open(row)
        if row is None or kept is None or not row.is_background or row.status != "in_progress":
            return kept
        is_abandoned = _is_abandoned(row)
        kept = kept.turned("failed", _PROCESS_DIED) if is_abandoned else kept.turned("cancelled")
        row.status, row.leased_until, row.sealed_body = kept.status, None, _seal(kept)
        row.save(update_fields=["status", "leased_until", "sealed_body"])
        transaction.on_commit(partial(_announce, response_id))
    return kept


def finish(kept: Kept, until: float) -> bool:
    """Write the end of a response in progress; ``False`` where it is no longer that. Raises ``TooLate``."""
    with _written_by(until):
        changed = StoredResponse.objects.filter(
            pk=kept.id, organization_id=kept.organization_id, status="in_progress"
        ).update(status=kept.status, leased_until=None, size=len(kept.body), sealed_body=_seal(kept))
    return bool(changed)


def renew(response_ids: list[str]) -> set[str]:
    """Renew the leases of responses in progress and return the ids of those that still are."""
    with _bounded():
        running = StoredResponse.objects.filter(pk__in=response_ids, status="in_progress")
        running.update(leased_until=_lease())
        return set(running.values_list("pk", flat=True))


def expire() -> int:
    """Delete what has expired; return how many."""
    return delete_expired(StoredResponse)


def _used(organization_id: str) -> int:
    rows = StoredResponse.objects.filter(organization_id=organization_id)
    return rows.aggregate(used=Sum("size"))["used"] or 0


_rooms = Rooms(_used, lambda: settings.RESPONSES_QUOTA_BYTES)


def _live(organization_id: str, response_id: str) -> QuerySet[StoredResponse]:
    return StoredResponse.objects.filter(
        pk=response_id, organization_id=organization_id, expires_at__gt=timezone.now()
    )


def _is_abandoned(row: StoredResponse) -> bool:
    return row.status == "in_progress" and (row.leased_until is None or row.leased_until <= timezone.now())


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=LEASE_S)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Run a transaction whose statements PostgreSQL gives up when nobody waits for them any more."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            limit = f"{round(settings.ARCHIVE_WAIT_S * 1_000)}ms"
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
        yield


@contextlib.contextmanager
def _written_by(until: float) -> Iterator[None]:
    with _bounded():
        yield
        if time.time() >= until:
            raise TooLate


def _seal(kept: Kept) -> bytes:
    packed = zlib.compress(kept.body, 1)
    return seal_bytes(packed, ring=settings.ARCHIVE_KEYS, aad=_place(kept.organization_id, kept.id))


def _open(row: StoredResponse) -> Kept | None:
    place = _place(row.organization_id, row.pk)
    try:
        packed = unseal_bytes(bytes(row.sealed_body), ring=settings.ARCHIVE_KEYS, aad=place)
    except CannotUnseal as exc:
        # Its key has left the ring: to its owner it is as good as expired.
        logger.warning("stored_responses.cannot_unseal", extra={"response": row.pk, "reason": str(exc)})
        return None
    status: Status = row.status  # type: ignore[assignment] # only ours are ever written
    return Kept(
        id=row.pk,
        organization_id=row.organization_id,
        key_id=row.made_by_key,
        model_id=row.model,
        status=status,
        created_at=int(row.created_at.timestamp()),
        body=zlib.decompress(packed),
        is_background=row.is_background,
    )


def _place(organization_id: str, response_id: str) -> str:
    return f"accounts_storedresponse:sealed_body:{organization_id}:{response_id}"


def _announce(response_id: str) -> None:
    try:
        changes.announce(sync_client(), TOPIC, response_id)
    except (RedisError, OSError):
        # The process at work asks at its next renewal.
        logger.warning("stored_responses.announcement_lost", extra={"response": response_id})
