"""Celery's entries for what composes the apps; each is safe twice and in parallel."""

from __future__ import annotations

import contextlib
import logging

from celery import shared_task

from catalog.models import Channel
from fastanchor import channel_course, channel_probes, channel_tests, closing, refusal_mails, retirement_mails

logger = logging.getLogger(__name__)


@shared_task
def close_accounts() -> None:
    """Carry out the deletions of accounts that are due."""
    gone = closing.run_due()
    if gone:
        logger.info("tasks.accounts_closed", extra={"accounts": gone})


@shared_task
def probe_credentials() -> None:
    """Ask again with the credentials that upstreams refused."""
    back = channel_probes.probe_refused()
    if back:
        logger.info("tasks.credentials_back", extra={"credentials": back})


@shared_task
def tell_of_refusals() -> None:
    """Tell owners and staff of credentials that providers refuse."""
    told = refusal_mails.send_due()
    if told:
        logger.info("tasks.refusals_told", extra={"credentials": told})


@shared_task
def send_retirement_mails() -> None:
    """Tell owners of organizations that a model which they use is retired."""
    sent = retirement_mails.send_due()
    if sent:
        logger.info("tasks.retirements_told", extra={"organizations": sent})


@shared_task
def test_channel(channel_id: str) -> None:
    """Test one channel for the table of channels."""
    channel = Channel.objects.filter(pk=channel_id, own_key="").first()
    if channel is not None:
        with contextlib.suppress(channel_probes.NothingToAsk):
            channel_tests.ask(channel)


@shared_task
def sample_channels() -> None:
    """Write down how the channels do now."""
    channel_course.sample()
