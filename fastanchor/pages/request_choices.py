"""What requests can be narrowed down to: the keys of an organization, by name, and the models that it has used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from accounts.models import ApiKey, Organization
from billing import request_log

MOST_KEYS = 500


@dataclass(frozen=True, slots=True)
class Choices:
    """Key names by id, newest first, and model ids by name."""

    keys: dict[str, str]
    models: list[str]


def of(organization: Organization) -> Choices:
    """Return an organization's choices; of keys that share a name, the last letters tell which is which."""
    found = list(ApiKey.objects.filter(organization=organization).order_by("-created_at", "pk")[:MOST_KEYS])
    named = Counter(key.name for key in found)
    keys = {key.pk: key.name if named[key.name] == 1 else f"{key.name} (…{key.last4})" for key in found}
    return Choices(keys, request_log.used_models(organization))
