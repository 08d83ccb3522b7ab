"""Reconciliation of usage: our books among each other, with what providers billed, and with what Stripe's meter counted.

Stripe charges nobody by its meter; it is a second pair of books, kept by somebody else. Each organization that is a
customer there has one event for each day (UTC); what comes in late for a day is told as one more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from billing import audit, capture, items, runs
from billing.models import (
    MeterPush,
    ReconciliationKind,
    ReconciliationRun,
    StripeCustomer,
    UsageRecord,
)
from billing.stripe_api import meters
from billing.stripe_api.client import StripeRefused, is_configured

logger = logging.getLogger(__name__)

_NANOS_PER_MICRO = 1_000
# For so many days back the records are looked at again: spools of a host that was away come in late.
DAYS = 3
# Stripe knows an identifier again for a day at least; after less than that it is asked what it has counted.
_SURE = timedelta(hours=23)


def reconcile_usage(*, today: date | None = None) -> ReconciliationRun:
    """Check the books of usage and compare the last days with Stripe's meter; returns the finished run.

    Raises ``StripeUnavailable``; then the run stays unfinished and is safe to repeat.
    """
    last = (today or timezone.now().date()) - timedelta(days=1)
    days = [last - timedelta(days=back) for back in range(DAYS)]
    run = ReconciliationRun.objects.create(kind=ReconciliationKind.USAGE, since=_start(days[-1]))
    compared = _compare_books() + capture.compare_lately(today=last + timedelta(days=1))
    if is_configured():
        meter_id = meters.meter()
        compared += sum(_mirror(day, meter_id) for day in days)
    return runs.finish(run, compared=compared, begun=run.started_at)


def _compare_books() -> int:
    checks = audit.stored_checks()
    for check in checks:
        for culprit in check.culprits:
            subject, _, told = culprit.partition(":")
            items.note(kind="books", subject=f"{check.name} {subject}", ours=told.strip()[:200], theirs="")
    return len(checks)


def _mirror(day: date, meter_id: str) -> int:
    """Tell Stripe of a day what it has not been told, and compare; returns the number of organizations."""
    used = _used_micro(day)
    customers = dict(
        StripeCustomer.objects.filter(organization_id__in=used, deleted_at=None).values_list(
            "organization_id", "stripe_id"
        )
    )
    for organization_id, customer_id in customers.items():
        _note_push(organization_id, customer_id, day, used[organization_id])
    _send(MeterPush.objects.filter(day=day, sent_at=None).order_by("pk"), meter_id)
    for organization_id in customers:
        _compare(organization_id, day, meter_id)
    return len(customers)


def _used_micro(day: date) -> dict[str, int]:
    """Return what each organization used on a day, in whole micro-USD, cut."""
    records = UsageRecord.objects.filter(
        started_at__gte=_start(day), started_at__lt=_start(day + timedelta(days=1)), cost_nano__gt=0
    )
    sums = records.values("organization_id").annotate(cost=Sum("cost_nano")).order_by("organization_id")
    return {row["organization_id"]: int(row["cost"]) // _NANOS_PER_MICRO for row in sums}


def _note_push(organization_id: str, customer_id: str, day: date, used_micro: int) -> None:
    with transaction.atomic(durable=True):
        told = list(
            MeterPush.objects.select_for_update()
            .filter(organization_id=organization_id, day=day)
            .order_by("revision")
        )
        missing = used_micro - sum(push.value_micro for push in told)
        if missing < 0 or missing > meters.MOST_MICRO:
            items.note(
                kind="meter_value",
                subject=f"{organization_id} {day}",
                ours=str(used_micro),
                theirs=str(missing),
            )
        elif missing:
            revision = len(told) + 1
            MeterPush.objects.bulk_create(
                [
                    MeterPush(
                        organization_id=organization_id,
                        day=day,
                        revision=revision,
                        identifier=f"usage:{organization_id}:{day:%Y%m%d}:{revision}",
                        customer=customer_id,
                        value_micro=missing,
                    )
                ],
                # Of two runs at once one notes it.
                ignore_conflicts=True,
            )


def _send(pushes: Iterable[MeterPush], meter_id: str) -> None:
    for push in pushes:
        is_unsure = timezone.now() - push.created_at > _SURE
        try:
            if not (is_unsure and _was_counted(push, meter_id)):
                meters.tell(
                    identifier=push.identifier,
                    customer_id=push.customer,
                    value_micro=push.value_micro,
                    day=push.day,
                )
        except StripeRefused as exc:
            # What was told before, with its answer lost, is refused as well.
            if not _was_counted(push, meter_id):
                ours = f"{push.value_micro} micro-USD"
                items.note(kind="meter_refused", subject=push.identifier, ours=ours, theirs=exc.code)
                continue
        MeterPush.objects.filter(pk=push.pk).update(sent_at=timezone.now())


def _was_counted(push: MeterPush, meter_id: str) -> bool:
    counted = meters.counted_micro(meter_id=meter_id, customer_id=push.customer, day=push.day)
    sent = MeterPush.objects.filter(customer=push.customer, day=push.day).exclude(sent_at=None)
    return counted >= sum(each.value_micro for each in sent) + push.value_micro


def _compare(organization_id: str, day: date, meter_id: str) -> None:
    pushes = MeterPush.objects.filter(organization_id=organization_id, day=day)
    by_customer: dict[str, int] = {}
    for push in pushes:
        by_customer[push.customer] = by_customer.get(push.customer, 0) + push.value_micro
    for customer_id, ours in by_customer.items():
        theirs = meters.counted_micro(meter_id=meter_id, customer_id=customer_id, day=day)
        subject = f"{organization_id} {day}"
        if ours != theirs:
            items.note(
                kind="meter_differs", subject=subject, ours=f"{ours} micro-USD", theirs=f"{theirs} micro-USD"
            )
        else:
            items.settle(kind="meter_differs", subject=subject)


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
