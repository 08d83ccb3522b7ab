"""What the gateway's books are read from: usage records, prices, wallets and keys, of one organization each."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from accounts import budgets
from accounts.models import ApiKey, Organization
from billing import holds, spending, usage, wallets
from catalog import publish
from fastanchor.lib.valkey import sync_client
from gateway.books import Booked, Credit, KeyStanding, Standing

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
    """Return what a key, its maker and its organization have spent by settled usage, and what is held for them."""
    found = ApiKey.objects.only("name", "created_by_id").get(pk=key_id)
    maker = None if found.created_by_id is None else budgets.member_subject(found.created_by_id)
    subjects = [organization_id, key_id, *([maker] if maker else [])]
    # Holds first, as in ``wallets.balance_of``.
    held = _held(organization_id, subjects)
    spent = spending.of_subjects(organization_id, subjects).subjects
    standings = {one.subject: Standing(one, held.get(one.subject)) for one in spent}
    return KeyStanding(
        name=found.name,
        key=standings[key_id],
        member=standings[maker] if maker else None,
        organization=standings[organization_id],
    )


def _held(organization_id: str, subjects: list[str]) -> dict[str, int]:
    """Return what is held for the organization, which comes first, and for the others; nothing while it is unknown."""
    try:
        client = sync_client()
        wallet = holds.known_wallet(client, organization_id)
        others = holds.known_held(client, organization_id, subjects[1:])
    except RedisError as exc:
        logger.warning("books.holds_unknown", extra={"error": type(exc).__name__})
        return {}
    return dict(zip(subjects, [wallet.held_nano if wallet else 0, *others], strict=True))
