"""Tests of channels outside of the hot path: for staff at a button, and for credentials that upstreams refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from catalog import credential_states, publish
from catalog.models import Channel, Credential
from catalog.snapshot import Model, Route
from catalog.verdicts import Refusal
from gateway.probing import Probed, cheapest, probe
from gateway.upstreams.http import HttpClient

logger = logging.getLogger(__name__)

# Of one minute's run: a question may take half a minute.
MOST_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Tested:
    """A credential and what came of asking with it."""

    credential: Credential
    probed: Probed


@dataclass(frozen=True, slots=True)
class OwnTested:
    """The model that was asked with a customer's own key, and what came of it."""

    model_id: str
    probed: Probed


class NothingToAsk(Exception):
    """The channel serves no model for conversation."""


def ask_channel(channel: Channel) -> list[Tested]:
    """Ask a channel one cheap question with each of its credentials, also those out of service.

    Raises ``NothingToAsk``. What works is put back, unless staff took it out.
    """
    credentials = list(channel.credentials.order_by("created_at", "pk"))
    tested = _ask_all(credentials)
    for each in tested:
        _judge(each)
    return tested


def test_own_key(channel: Channel) -> OwnTested:
    """Ask with a customer's own key: one that is refused is taken out, one that works again is put back.

    Raises ``NothingToAsk``.
    """
    credential = channel.credentials.select_related("channel").get()
    model, route = _question(credential)
    [probed] = asyncio.run(_probe_all([(model, route)]))
    _judge(Tested(credential, probed))
    if probed.blames_credential and credential.is_enabled:
        state = f"{credential.pk}.{credential.revision}"
        credential_states.refuse_credential(Refusal(state, probed.words))
    return OwnTested(model.id, probed)


def probe_refused() -> int:
    """Ask with the credentials that upstreams refused and that are due; returns how many work again."""
    back = 0
    for credential in credential_states.due_for_retry().select_related("channel")[:MOST_AT_ONCE]:
        try:
            [tested] = _ask_all([credential])
        except NothingToAsk:
            credential_states.wait_longer(credential=credential)
            continue
        back += _judge(tested)
    return back


def _judge(tested: Tested) -> bool:
    """Put a credential back that works again, or note that it does not; tells whether it was put back."""
    credential = tested.credential
    if credential.is_enabled or credential.retry_at is None:
        return False
    if not tested.probed.is_well:
        credential_states.wait_longer(credential=credential)
        return False
    credential_states.enable_credential(credential=credential)
    logger.info("channels.credential_back", extra={"credential": credential.pk})
    return True


def _ask_all(credentials: Iterable[Credential]) -> list[Tested]:
    questions = [(credential, _question(credential)) for credential in credentials]
    probes = asyncio.run(_probe_all([question for _, question in questions]))
    return [Tested(credential, probed) for (credential, _), probed in zip(questions, probes, strict=True)]


def _question(credential: Credential) -> tuple[Model, Route]:
    found = cheapest(publish.snapshot_through(credential), credential.channel_id)
    if found is None:
        raise NothingToAsk
    return found


async def _probe_all(questions: list[tuple[Model, Route]]) -> list[Probed]:
    client = HttpClient(connect_s=settings.UPSTREAM_CONNECT_S, allow_private=settings.ALLOW_PRIVATE_UPSTREAMS)
    try:
        return await asyncio.gather(*(probe(client, model, route) for model, route in questions))
    finally:
        await client.close()
