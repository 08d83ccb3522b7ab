"""A new secret for a key that stays the same: its id, limits, budgets and history do.

The old secret works beside the new one for as long as was chosen, so that programs can move over one by one. A key has
never more than two.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import announcements, audit, keys, tokens
from accounts.keys import KeyRefused
from accounts.models import ApiKey, OldSecret, User

logger = logging.getLogger(__name__)

# How long the old secret may still work.
OVERLAPS = {
    "0": timedelta(0),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}


class NotLive(KeyRefused):
    """A key that is revoked or expired gets no new secret."""

    def __init__(self) -> None:
        super().__init__("Only a live key can be rotated. Create another one.")


class TwoSecretsAlready(KeyRefused):
    """The key has a new and an old secret already."""

    def __init__(self) -> None:
        super().__init__("The secret before this one still works. End it, then rotate again.")


def rotate(*, key: ApiKey, overlap: timedelta, by: User | None) -> str:
    """Replace a key's secret and return the new one, which is never seen again; raises ``KeyRefused``."""
    token = tokens.new_token()
    now = timezone.now()
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is not None or (locked.expires_at is not None and locked.expires_at <= now):
            raise NotLive
        if OldSecret.objects.filter(key=locked, expires_at__gt=now).exists():
            raise TwoSecretsAlready
        _keep_old(locked, overlap)
        _put(locked, token)
        _record("key.rotated", locked, by, overlap_s=int(overlap.total_seconds()))
        announcements.key_changed(key.pk)
    logger.info(
        "accounts.key_rotated",
        extra={"key": key.pk, "overlap_s": int(overlap.total_seconds()), "by": by.pk if by else None},
    )
    return token


def end_old_secret(*, key: ApiKey, by: User | None) -> None:
    """Let the old secret of a key work no longer; nothing happens where there is none."""
    with transaction.atomic():
        if OldSecret.objects.filter(key=key).delete()[0]:
            _record("key.old_secret_ended", key, by)
        announcements.key_changed(key.pk)
    logger.info("accounts.old_secret_ended", extra={"key": key.pk, "by": by.pk if by else None})


def old_secret_of(key: ApiKey) -> OldSecret | None:
    """Return the secret that still works beside a key's own, if there is one."""
    old = getattr(key, "old_secret", None)
    return old if old is not None and old.expires_at > timezone.now() else None


def _record(what: str, key: ApiKey, by: User | None, **after: object) -> None:
    audit.record(what, subject=f"key {key.pk}", organization_id=key.organization_id, after=after, by=by)


def _keep_old(key: ApiKey, overlap: timedelta) -> None:
    OldSecret.objects.filter(key=key).delete()
    if overlap:
        now = timezone.now()
        OldSecret.objects.create(
            key=key,
            digest=key.digest,
            prefix=key.prefix,
            last4=key.last4,
            replaced_at=now,
            expires_at=now + overlap,
        )


def _put(key: ApiKey, token: str) -> None:
    key.digest = keys.newest_digest(token)
    key.prefix, key.last4 = tokens.shown_parts(token)
    key.save(update_fields=["digest", "prefix", "last4"])
