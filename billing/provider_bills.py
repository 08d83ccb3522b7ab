"""Providers' bills: uploaded once, and replaced by a later upload only after somebody has seen the difference.

A day of a provider is billed by one file. A file with days that are billed already waits; confirmed, it replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError, connection, models, transaction
from django.db.models import Sum

from accounts import audit
from billing import bill_lines, capture
from billing.bill_lines import BillLine
from billing.models import BillFile, BillState, ProviderBill
from fastanchor.lib.money import exact_usd


class UploadedBefore(Exception):
    """The very same file of this provider is here; carries it as ``file``."""

    def __init__(self, file: BillFile) -> None:
        super().__init__(file.pk)
        self.file = file


class NotWaiting(Exception):
    """The file does not wait for a confirmation any more."""


class Changed(Exception):
    """Something else would be replaced than was shown."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A day that a file bills anew: what was billed, and what would be."""

    day: date
    was_nano: int
    becomes_nano: int

    @property
    def difference_nano(self) -> int:
        """Return what the bill grows by."""
        return self.becomes_nano - self.was_nano


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it comes, for a provider, why, and who brings it (``user:<id>``)."""

    provider_id: str
    name: str
    content: bytes
    reason: str
    actor: str


def upload(given: Upload, *, today: date) -> BillFile:
    """Take a file: in force at once where it replaces nothing, else it waits for ``confirm``.

    Raises ``bill_lines.NotABill``, ``UploadedBefore`` and ``audit.NoReason``; then nothing was taken.
    """
    bill = bill_lines.read(given.content, today=today)
    file = BillFile(
        provider_id=given.provider_id,
        name=given.name[:200],
        sha256=bill.sha256,
        lines=len(bill.lines),
        first_day=min(line.day for line in bill.lines),
        last_day=max(line.day for line in bill.lines),
        amount_nano=sum(line.amount_nano for line in bill.lines),
        reason=audit.reasoned(given.reason),
        uploaded_by=given.actor,
    )
    try:
        with transaction.atomic():
            return _store(file, bill.lines)
    except IntegrityError:
        known = BillFile.objects.filter(provider_id=file.provider_id, sha256=file.sha256).first()
        if known is None:
            raise
        raise UploadedBefore(known) from None


def _store(file: BillFile, lines: list[BillLine]) -> BillFile:
    _alone(file)
    file.save(force_insert=True)
    ProviderBill.objects.bulk_create(
        [
            ProviderBill(
                file=file,
                provider_id=file.provider_id,
                day=line.day,
                model=line.model,
                amount_nano=line.amount_nano,
            )
            for line in lines
        ],
        batch_size=1_000,
    )
    _record("uploaded", file)
    if not replaced_by(file):
        _put_in_force(file)
    return file


def replaced_by(file: BillFile) -> list[Replaced]:
    """Return the days of a waiting file that are billed already, oldest first."""
    days = file.bills.values("day")
    was = _by_day(
        ProviderBill.objects.filter(provider_id=file.provider_id, is_current=True, day__in=days).exclude(
            file=file
        )
    )
    becomes = _by_day(file.bills.filter(day__in=was)) if was else {}
    return [Replaced(day, nano, becomes[day]) for day, nano in sorted(was.items())]


def _by_day(bills: models.QuerySet[ProviderBill]) -> dict[date, int]:
    sums = bills.order_by().values("day").annotate(nano=Sum("amount_nano"))
    return {row["day"]: int(row["nano"]) for row in sums}


def confirm(file: BillFile, *, shown: list[Replaced], actor: str) -> BillFile:
    """Let a waiting file replace what is billed for its days; raises ``NotWaiting``.

    ``shown`` is what was seen: where something else would be replaced by now, nothing happens and ``Changed`` is raised.
    """
    with transaction.atomic():
        _alone(file)
        locked = _lock_waiting(file)
        if replaced_by(locked) != shown:
            raise Changed
        locked.confirmed_by = actor
        _put_in_force(locked, shown)
    return locked


def discard(file: BillFile) -> None:
    """Forget a waiting file, which may then be uploaded again; raises ``NotWaiting``."""
    with transaction.atomic():
        locked = _lock_waiting(file)
        _record("discarded", locked)
        locked.delete()


def _alone(file: BillFile) -> None:
    """Let nobody else change this provider's bills until the transaction ends: two files might share a day."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"bills of {file.provider_id}"])


def _lock_waiting(file: BillFile) -> BillFile:
    locked = BillFile.objects.select_for_update().filter(pk=file.pk, state=BillState.WAITING).first()
    if locked is None:
        raise NotWaiting(file.pk)
    return locked


def _put_in_force(file: BillFile, replaced: list[Replaced] | None = None) -> None:
    days = sorted(set(file.bills.values_list("day", flat=True)))
    ProviderBill.objects.filter(provider_id=file.provider_id, day__in=days, is_current=True).update(
        is_current=False
    )
    file.bills.update(is_current=True)
    file.state = BillState.IN_FORCE
    file.save(update_fields=["state", "confirmed_by"])
    if replaced:
        _record("replaced", file, before={str(each.day): exact_usd(each.was_nano) for each in replaced})
    capture.compare(file.provider_id, days)


def _record(what: str, file: BillFile, before: dict[str, str] | None = None) -> None:
    audit.record(
        f"bill.{what}",
        subject=f"bill {file.pk}",
        before=before or {},
        after={
            "provider": file.provider_id,
            "file": file.name,
            "sha256": file.sha256,
            "lines": file.lines,
            "days": f"{file.first_day} to {file.last_day}",
            "usd": exact_usd(file.amount_nano),
        },
        reason=file.reason,
    )
