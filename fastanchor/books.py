"""What the gateway's books are read from: usage records, prices, wallets and keys, of one organization each."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from accounts.models import ApiKey, Organization
from billing import holds, settlement, usage, wallets
from catalog import publish
from fastanchor.lib.valkey import sync_client
from gateway.books import Booked, Credit, KeyStanding

logger = logging.getLogger(__name__)


def find(organization_id: str, request_id: str) -> Booked | None:
    """Return what is booked of a request, unless it is unknown or another organization's."""
    organization = Organization(pk=organization_id)
    try:
        record = usage.find(organization=organization, request_id=request_id)
    except usage.UnknownRequest:
        return None
    return Booked(usage.entry_of(record), publish.find_price(record.price_id))


def credit(organization_id: str) -> Credit:
    """Return what an organization has, as its dashboard shows it."""
    organization = Organization.objects.get(pk=organization_id)
    wallet = wallets.balance_of(organization)
    return Credit(
        balance_nano=wallet.balance_nano,
        held_nano=wallet.held_nano,
        available_nano=wallet.available_nano,
        promo_nano=wallet.promo_nano,
        promo_expires_at=int(wallet.promo_expires_at.timestamp()) if wallet.promo_expires_at else None,
        used_nano=usage.used_nano(organization),
    )


def key(organization_id: str, key_id: str) -> KeyStanding:
    """Return what a key has spent by settled usage, and what is held for it."""
    # Holds first, as in ``wallets.balance_of``.
    held = _held(organization_id, key_id)
    (spent,) = settlement.key_spent([key_id])
    name = ApiKey.objects.values_list("name", flat=True).get(pk=key_id)
    return KeyStanding(name, spent.total_nano, spent.month_nano, held)


def _held(organization_id: str, key_id: str) -> int | None:
    try:
        return holds.known_key_held(sync_client(), organization_id, key_id)
    except RedisError as exc:
        logger.warning("books.holds_unknown", extra={"error": type(exc).__name__})
        return None
