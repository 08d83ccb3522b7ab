"""Credentials of channels: sealed at rest, opened only for the gateway's snapshot, never shown.

Which of them are in service is told in ``catalog.credential_states``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import transaction

from catalog.models import Channel, Credential
from fastanchor.lib.crypto import CannotUnseal, is_sealed_with_newest, seal, unseal


class BadCredential(Exception):
    """A credential that cannot stand in an HTTP header."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """What a change of keys did: how many were sealed anew, and the ids of channels that do not open."""

    resealed: int
    broken: tuple[str, ...]


def checked_credential(text: str) -> str:
    """Return a credential without the spaces around it; raises ``BadCredential``."""
    credential = text.strip()
    if credential.startswith("{"):
        return _checked_account(credential)
    if not credential or not all("!" <= character <= "~" for character in credential):
        raise BadCredential("The credential must be visible ASCII characters without spaces.")
    return credential


def _checked_account(text: str) -> str:
    """Return the JSON of a service account on one line; it signs, and is never sent itself."""
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except (ValueError, RecursionError):
        raise BadCredential(
            "The credential begins like a service account's JSON, but cannot be read."
        ) from None


def main_credential(channel: Channel) -> Credential | None:
    """Return a channel's first credential, if it has any yet."""
    return channel.credentials.order_by("created_at", "pk").first()


def seal_secret(*, credential: Credential, secret: str) -> None:
    """Put a secret into a credential whose channel is saved; raises ``BadCredential``. The caller saves."""
    secret = checked_credential(secret)
    credential.sealed = seal(secret, aad=_place(credential))
    # Four characters of a very short secret would be most of it.
    credential.last4 = secret[-4:] if len(secret) >= 12 else ""


def open_credential(*, channel: Channel) -> str:
    """Return the secret of a channel's first credential in clear; raises ``CannotUnseal``."""
    credential = main_credential(channel)
    if credential is None:
        message = "the channel has no credential"
        raise CannotUnseal(message)
    return opened(credential)


def opened(credential: Credential) -> str:
    """Return a secret in clear; raises ``CannotUnseal``."""
    return unseal(credential.sealed, aad=_place(credential))


@transaction.atomic
def reseal_credentials() -> Resealed:
    """Seal every credential with the newest key; what does not open is left as it is and reported."""
    changed: list[Credential] = []
    broken: list[str] = []
    for credential in Credential.objects.select_for_update().order_by("channel", "id"):
        if is_sealed_with_newest(credential.sealed):
            continue
        try:
            seal_secret(credential=credential, secret=opened(credential))
        except CannotUnseal:
            broken.append(credential.channel_id)
        else:
            changed.append(credential)
    Credential.objects.bulk_update(changed, ["sealed", "last4"])
    return Resealed(len(changed), tuple(broken))


def _place(credential: Credential) -> str:
    # Bound to the channel: a secret that is moved to another endpoint does not open there.
    return f"catalog_channel:sealed_credential:{credential.channel_id}"
