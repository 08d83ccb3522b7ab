"""The sealed secrets of second factors: sealing them anew when the keys of the ring change."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction

from fastanchor.lib.crypto import is_sealed_with_newest, seal, unseal

# Names the place for the seal; allauth does not tell which row a secret is for.
SEALED_AT = "mfa_authenticator:data"
# Where allauth puts what it has let us seal.
_SECRETS = ("secret", "seed")


def reseal() -> int:
    """Seal every secret with the newest key; returns how many were sealed anew. Raises ``CannotUnseal``."""
    with transaction.atomic():
        factors = Authenticator.objects.select_for_update().order_by("pk")
        changed = [factor for factor in factors if _reseal(factor.data)]
        Authenticator.objects.bulk_update(changed, ["data"], batch_size=500)
    return len(changed)


def _reseal(kept: dict[str, Any]) -> bool:
    old = {name: kept[name] for name in _SECRETS if name in kept and not is_sealed_with_newest(kept[name])}
    kept.update({name: seal(unseal(text, aad=SEALED_AT), aad=SEALED_AT) for name, text in old.items()})
    return bool(old)
