"""Celery's entries; each is safe twice and in parallel, and does nothing but call the domain."""

from __future__ import annotations

import logging

from celery import shared_task

from accounts import kept_contents, sessions, stored_responses

logger = logging.getLogger(__name__)


@shared_task
def expire_responses() -> None:
    """Delete the stored responses whose time is over."""
    logger.info("tasks.responses_expired", extra={"responses": stored_responses.expire()})


@shared_task
def expire_contents() -> None:
    """Delete the prompts and answers whose time is over."""
    logger.info("tasks.contents_expired", extra={"contents": kept_contents.expire()})


@shared_task
def expire_sessions() -> None:
    """Delete the sessions that are over, and where they were used from."""
    logger.info("tasks.sessions_expired", extra={"sessions": sessions.expire()})
