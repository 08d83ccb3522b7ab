"""Exports as jobs: asked for, taken by a worker under a lease, reported on, ended, cleaned away."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Organization, User
from billing.exports import writers
from billing.models import UNFINISHED, Export, ExportState
from fastanchor.lib.ids import new_id

logger = logging.getLogger(__name__)

STORAGE = "exports"
MOST_AT_ONCE = 2
KEPT = timedelta(days=7)
LISTED = timedelta(days=30)
# Longer than a part takes to be stored, which is the longest silence of a worker.
LEASE = timedelta(minutes=2)
MOST_LOSSES = 3
_AT_ONCE = 100


class TooMany(Exception):
    """As many exports as an organization may have at once are being written."""


class NotDue(Exception):
    """Nothing is to be done, or somebody else does it."""


class Lost(Exception):
    """The export was cancelled, or another worker has taken it over."""


def ask(
    *, organization: Organization, by: User, kind: str, file_format: str, wanted: dict[str, Any]
) -> Export:
    """Note that an export is wanted; raises ``TooMany`` and ``writers.UnknownKind``."""
    if file_format not in writers.of(kind).formats:
        raise writers.UnknownKind(file_format)
    with transaction.atomic():
        # Two calls at once must not both be the last that fits: the organization's row is the lock.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        if of(organization).filter(state__in=UNFINISHED).count() >= MOST_AT_ONCE:
            raise TooMany
        return Export.objects.create(
            organization=organization, asked_by=by, kind=kind, file_format=file_format, wanted=wanted
        )


def of(organization: Organization) -> QuerySet[Export]:
    """Return the organization's exports, newest first."""
    return Export.objects.filter(organization=organization).order_by("-asked_at", "id")


def cancel(export: Export) -> bool:
    """Stop an export; whoever writes it notices within a second. False where it had ended already."""
    unfinished = Export.objects.filter(pk=export.pk, state__in=UNFINISHED)
    return bool(unfinished.update(state=ExportState.CANCELLED, ended_at=timezone.now(), lease=""))


def due() -> list[str]:
    """Return the exports that nobody works on, the oldest first."""
    return list(_due().order_by("asked_at").values_list("pk", flat=True)[:_AT_ONCE])


def _due() -> QuerySet[Export]:
    free = Q(leased_until=None) | Q(leased_until__lt=timezone.now())
    return Export.objects.filter(free, state__in=UNFINISHED)


def take(export_id: str) -> Export:
    """Lease an export for its next part, and clear what a dead worker left of it; raises ``NotDue``."""
    with transaction.atomic():
        export = _due().filter(pk=export_id).select_for_update(skip_locked=True).first()
        if export is None:
            raise NotDue
        left_behind, export.losses = export.part_begun, export.losses + bool(export.lease)
        export.lease = new_id("lease")
        export.part_begun = f"{export.organization_id}/{export.pk}/{len(export.parts):04d}-{export.lease}.gz"
        export.state, export.leased_until = ExportState.RUNNING, timezone.now() + LEASE
        export.rows_done = sum(part["rows"] for part in export.parts)
        export.save()
    if left_behind:
        storages[STORAGE].delete(left_behind)
    return export


def report(export: Export, *, rows_done: int) -> None:
    """Save progress and renew the lease; raises ``Lost``."""
    _change(export, rows_done=rows_done, leased_until=timezone.now() + LEASE)


def expect(export: Export, *, rows_about: int | None) -> None:
    """Save how many rows will come; raises ``Lost``."""
    _change(export, rows_about=rows_about)


def store(export: Export, *, part: dict[str, Any], position: str) -> None:
    """Note a part that is stored, and let go of the export; raises ``Lost``."""
    parts = [*export.parts, part]
    rows = sum(part["rows"] for part in parts)
    _change(export, parts=parts, rows_done=rows, position=position, **_RELEASED)


def finish(export: Export, *, part: dict[str, Any]) -> None:
    """Note the last part: the download is ready. Raises ``Lost``."""
    parts, now = [*export.parts, part], timezone.now()
    rows = sum(part["rows"] for part in parts)
    ended = {"state": ExportState.DONE, "ended_at": now, "expires_at": now + KEPT, "rows_about": rows}
    _change(export, parts=parts, rows_done=rows, **ended, **_RELEASED)


def fail(export: Export, *, why: str) -> None:
    """Give an export up and say why; raises ``Lost``."""
    _change(export, state=ExportState.FAILED, ended_at=timezone.now(), error=why, lease="", leased_until=None)


_RELEASED: dict[str, Any] = {"part_begun": "", "lease": "", "leased_until": None}


def _change(export: Export, **changes: Any) -> None:
    """Change an export as its leaseholder; nobody else's change is overwritten."""
    held = Export.objects.filter(pk=export.pk, lease=export.lease, state=ExportState.RUNNING)
    if not export.lease or not held.update(**changes):
        raise Lost
    for name, value in changes.items():
        setattr(export, name, value)


def clean() -> int:
    """Delete files that nobody can or wants to download any more, and forget old exports; returns how many files."""
    now = timezone.now()
    Export.objects.filter(state=ExportState.DONE, expires_at__lt=now).update(state=ExportState.EXPIRED)
    over = (ExportState.FAILED, ExportState.CANCELLED, ExportState.EXPIRED)
    # A worker that was cancelled in the middle of a part may still be storing it.
    left = Export.objects.filter(~Q(parts=[]) | ~Q(part_begun=""), state__in=over).filter(
        Q(leased_until=None) | Q(leased_until__lt=now)
    )
    deleted = sum(delete_files(export) for export in left.order_by("ended_at")[:_AT_ONCE])
    Export.objects.filter(state__in=over, parts=[], part_begun="", ended_at__lt=now - LISTED).delete()
    return deleted


def delete_files(export: Export) -> int:
    """Delete every stored file of an export; returns how many."""
    names = [*(part["name"] for part in export.parts), *filter(None, [export.part_begun])]
    for name in names:
        storages[STORAGE].delete(name)
    Export.objects.filter(pk=export.pk).update(parts=[], part_begun="")
    return len(names)


def worn_out(export: Export) -> bool:
    """Tell whether so many workers died of an export that another would, too."""
    return export.losses >= MOST_LOSSES


def untold() -> QuerySet[Export]:
    """Return the exports whose end nobody was told of."""
    ended = Q(state=ExportState.DONE) | Q(state=ExportState.FAILED)
    return Export.objects.filter(ended, told_at=None, ended_at__gt=timezone.now() - KEPT).order_by("ended_at")


def forget(organization: Organization) -> None:
    """Delete every export of an organization, files and all."""
    for export in of(organization):
        delete_files(export)
        export.delete()
