"""Celery's entries of the catalog; each is safe twice and in parallel."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from catalog import price_sync

logger = logging.getLogger(__name__)


@shared_task
def compare_prices() -> None:
    """Compare our prices with the public list; staff decides what becomes of it."""
    compared = price_sync.compare_installed(now=timezone.now())
    if compared.proposed or compared.overtaken:
        facts = {"proposed": len(compared.proposed), "overtaken": len(compared.overtaken)}
        logger.info("tasks.prices_compared", extra=facts)
