"""Celery's entries of the catalog; each is safe twice and in parallel."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from catalog import price_sync, retirement

logger = logging.getLogger(__name__)


@shared_task
def compare_prices() -> None:
    """Compare our prices with the public list; staff decides what becomes of it."""
    compared = price_sync.compare_installed(now=timezone.now())
    if compared.proposed or compared.overtaken:
        facts = {"proposed": len(compared.proposed), "overtaken": len(compared.overtaken)}
        logger.info("tasks.prices_compared", extra=facts)


@shared_task
def retire_due_models() -> None:
    """End the models whose date has come."""
    retired = retirement.retire_due(now=timezone.now())
    if retired:
        logger.info("tasks.models_retired", extra={"models": retired})
