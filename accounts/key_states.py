"""In which state a key is, in words for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from accounts.models import ApiKey
from accounts.rotation import old_secret_of

SOON = timedelta(days=7)


class KeyState(Enum):
    """A state: what people call it, and its colour."""

    REVOKED = ("Revoked", "bad")
    EXPIRED = ("Expired", "warn")
    EXPIRING = ("Expires soon", "warn")
    ROTATING = ("Rotating", "accent")
    LIVE = ("Live", "good")

    @property
    def label(self) -> str:
        """Its name on a page."""
        return self.value[0]

    @property
    def tone(self) -> str:
        """Its colour on a page."""
        return self.value[1]

    @property
    def is_live(self) -> bool:
        """Whether a key in this state opens anything."""
        return self not in {KeyState.REVOKED, KeyState.EXPIRED}


def state_of(key: ApiKey, at: datetime) -> KeyState:
    """Return the state of a key at a moment; what needs attention comes first."""
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.expires_at is not None and key.expires_at <= at:
        return KeyState.EXPIRED
    if old_secret_of(key) is not None:
        return KeyState.ROTATING
    if key.expires_at is not None and key.expires_at <= at + SOON:
        return KeyState.EXPIRING
    return KeyState.LIVE
