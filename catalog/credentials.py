"""Credentials of channels: sealed at rest, opened only for the gateway's snapshot, never shown."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import transaction

from catalog.models import Channel
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


def seal_credential(*, channel: Channel, credential: str) -> None:
    """Put a credential into an unsaved or locked channel; raises ``BadCredential``. The caller saves."""
    credential = checked_credential(credential)
    channel.sealed_credential = seal(credential, aad=_place(channel))
    # Four characters of a very short secret would be most of it.
    channel.credential_last4 = credential[-4:] if len(credential) >= 12 else ""


def open_credential(*, channel: Channel) -> str:
    """Return a channel's credential in clear; raises ``CannotUnseal``."""
    return unseal(channel.sealed_credential, aad=_place(channel))


@transaction.atomic
def reseal_credentials() -> Resealed:
    """Seal every credential with the newest key; what does not open is left as it is and reported."""
    changed: list[Channel] = []
    broken: list[str] = []
    for channel in Channel.objects.select_for_update().order_by("id"):
        if is_sealed_with_newest(channel.sealed_credential):
            continue
        try:
            seal_credential(channel=channel, credential=open_credential(channel=channel))
        except CannotUnseal:
            broken.append(channel.id)
        else:
            changed.append(channel)
    Channel.objects.bulk_update(changed, ["sealed_credential", "credential_last4"])
    return Resealed(len(changed), tuple(broken))


def _place(channel: Channel) -> str:
    return f"catalog_channel:sealed_credential:{channel.pk}"
