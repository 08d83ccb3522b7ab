"""Celery's entries; each is safe twice and in parallel, and does nothing but call the domain."""

from __future__ import annotations

import logging

from celery import shared_task

from accounts import stored_responses

logger = logging.getLogger(__name__)


@shared_task
def expire_responses() -> None:
    """Delete the stored responses whose time is over."""
    logger.info("tasks.responses_expired", extra={"responses": stored_responses.expire()})
