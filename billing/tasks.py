"""Celery's entries; each is safe twice and in parallel, and does nothing but call the domain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from billing import (
    auto_topups,
    budget_alerts,
    checkout,
    credit_proposals,
    details_push,
    events,
    health,
    invoices,
    ledger_days,
    low_balance,
    off_notices,
    partitions,
    posting,
    reconciliation,
    sync,
    usage_mirror,
    wallets,
)
from billing.exports import jobs as export_jobs, runs as export_runs, tell as export_mails
from billing.models import Wallet
from billing.stripe_api.client import StripeUnavailable, is_configured

logger = logging.getLogger(__name__)

# Long enough for the worker to have been away for a while; every minute's run covers it again.
REANNOUNCED = timedelta(minutes=10)


@shared_task
def post_usage() -> None:
    """Post unposted usage to the ledger."""
    journals = posting.post_usage()
    # Until nothing is left: a busy minute books more than is added up at once.
    logger.info("tasks.usage_posted", extra={"journals": journals, "folded": sum(iter(ledger_days.fold, 0))})


@shared_task
def expire_lots() -> None:
    """Take expired credit out of the wallets."""
    logger.info("tasks.lots_expired", extra={"lots": posting.expire_lots()})


@shared_task
def expire_credit_proposals() -> None:
    """Mark credit that nobody has approved in time."""
    logger.info("tasks.proposals_expired", extra={"proposals": credit_proposals.expire()})


@shared_task
def prepare_partitions() -> None:
    """Create the partitions of the coming months."""
    logger.info("tasks.partitions_prepared", extra={"names": partitions.prepare()})


@shared_task
def forget_old_health() -> None:
    """Delete counts of the platform's health that nobody looks at any more."""
    logger.info("tasks.health_forgotten", extra={"rows": health.forget_old(at=timezone.now())})


@shared_task
def reannounce_balances() -> None:
    """Bring recently changed balances to Valkey again, should their first announcement have been lost."""
    changed = Wallet.objects.filter(updated_at__gte=timezone.now() - REANNOUNCED).order_by("pk")
    wallets.publish(changed.iterator(chunk_size=1000))


@shared_task
def poll_stripe() -> None:
    """Take the events of Stripe that no webhook has brought."""
    _unless_away("tasks.stripe_polled", events.poll)


@shared_task
def follow_top_ups() -> None:
    """Look at Stripe after top-ups that have been pending for a while."""
    _unless_away("tasks.top_ups_followed", checkout.follow_pending)


@shared_task
def resend_refunds() -> None:
    """Send refunds again that Stripe has not confirmed."""
    _unless_away("tasks.refunds_resent", sync.resend_refunds)


@shared_task
def reconcile_cash() -> None:
    """Compare Stripe's movements with the ledger."""
    if is_configured():
        run = reconciliation.reconcile_cash()
        logger.info("tasks.cash_reconciled", extra={"run": run.pk, "compared": run.compared})


@shared_task
def reconcile_usage() -> None:
    """Check the books of usage, and compare the last days with Stripe's meter."""
    run = usage_mirror.reconcile_usage()
    logger.info("tasks.usage_reconciled", extra={"run": run.pk, "compared": run.compared})


@shared_task
def top_up_automatically() -> None:
    """Fill balances that have fallen below their threshold from saved cards."""
    _unless_away("tasks.topped_up", auto_topups.sweep)


@shared_task
def resume_auto_top_ups() -> None:
    """Ask Stripe again for automatic top-ups whose answer was lost."""
    _unless_away("tasks.top_ups_resumed", auto_topups.resume)


@shared_task
def push_billing_details() -> None:
    """Tell Stripe of billing details that it has not heard of."""
    _unless_away("tasks.details_pushed", details_push.push_due)


@shared_task
def write_invoices() -> None:
    """Write the documents that are missing; each is written with its journal, unless there was none yet."""
    logger.info("tasks.invoices_written", extra={"organizations": invoices.write_all()})


def _unless_away(event: str, act: Callable[[], int]) -> None:
    if not is_configured():
        return
    try:
        count = act()
    except StripeUnavailable as exc:
        logger.warning("tasks.stripe_away", extra={"error": str(exc)})
        return
    # Every few seconds or minutes, and mostly there is nothing to tell.
    if count:
        logger.info(event, extra={"count": count})


@shared_task
def mail_about_money() -> None:
    """Tell owners by mail of automatic top-ups that were switched off, and of low balances."""
    off = off_notices.send_due()
    low_balance.rearm()
    logger.info("tasks.mailed", extra={"off": off, "low": low_balance.send_due()})


@shared_task
def mail_about_budgets() -> None:
    """Tell owners, and members of their own, of budgets that are spent to a part."""
    budget_alerts.rearm()
    logger.info("tasks.budgets_mailed", extra={"mails": budget_alerts.send_due()})


@shared_task
def write_export(export_id: str) -> None:
    """Write the next part of an export, and queue behind all others for the one after it."""
    if export_runs.run(export_id):
        write_export.delay(export_id)


@shared_task
def run_exports() -> None:
    """Start the exports that nobody works on, and send the mails about them that could not be sent."""
    for export_id in export_jobs.due():
        write_export.apply_async((export_id,), expires=10)
    export_mails.tell_due()


@shared_task
def clean_exports() -> None:
    """Delete the files of exports that are over."""
    logger.info("tasks.exports_cleaned", extra={"files": export_jobs.clean()})
