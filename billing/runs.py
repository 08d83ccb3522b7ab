"""Runs of reconciliation: each is a row that keeps how much it compared and what it found."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from billing.models import ReconciliationItem, ReconciliationKind, ReconciliationRun

CASH_KINDS = ("cash_missing", "cash_differs", "cash_unknown", "cash_unheard", "cash_total")
# What is found where a payment is read anew, which a comparison of cash may lead to.
PAYMENT_KINDS = ("orphan_payment", "payment_mismatch", "second_payment")
USAGE_KINDS = ("books", "meter_value", "meter_refused", "meter_differs", "capture_rate")
_FOUND_BY = {
    ReconciliationKind.CASH: CASH_KINDS + PAYMENT_KINDS,
    ReconciliationKind.USAGE: USAGE_KINDS,
}


def finish(run: ReconciliationRun, *, compared: int, begun: datetime) -> ReconciliationRun:
    """Note that a run is over, with every item of its kinds that was seen since it has begun; returns the run."""
    kinds = _FOUND_BY[ReconciliationKind(run.kind)]
    run.findings.set(ReconciliationItem.objects.filter(seen_at__gte=begun, kind__in=kinds))
    run.compared, run.finished_at = compared, timezone.now()
    run.save(update_fields=["compared", "finished_at"])
    return run
