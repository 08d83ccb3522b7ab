"""Dead letters: records of a spool that PostgreSQL refuses, kept whole until staff settles or dismisses them."""

from __future__ import annotations

import hashlib
import json

import msgspec
from django.db import transaction
from django.utils import timezone

from billing.models import DeadLetter
from billing.settlement import Settlement, settle_batch
from billing.spool import Usage


def bury(usage: Usage, *, error: Exception) -> None:
    """Keep a record that cannot be stored; the same record twice is kept once."""
    # ASCII with escapes: whatever made the record impossible to store does not do the same to its letter.
    payload = json.dumps(msgspec.structs.asdict(usage), sort_keys=True)
    letter = DeadLetter(
        fingerprint=hashlib.sha256(payload.encode()).hexdigest(),
        request_id=_printable(usage.request_id, 64),
        organization_id=_printable(usage.organization_id, 64),
        payload=payload,
        error=_printable(f"{type(error).__name__}: {error}", 500),
    )
    DeadLetter.objects.bulk_create([letter], ignore_conflicts=True)


def _printable(text: str, limit: int) -> str:
    return text.encode("ascii", "backslashreplace").decode().replace("\0", "")[:limit]


def settle(letter: DeadLetter) -> list[Settlement]:
    """Try to store a letter's record again, now that its cause is gone; raises as ``settlement.settle_batch``."""
    settlements = settle_batch([Usage(**json.loads(letter.payload))])
    _resolve(letter, "settled")
    return settlements


def dismiss(letter: DeadLetter, *, reason: str) -> None:
    """Give up a record: nobody pays for its request; ``reason`` says why and stays."""
    _resolve(letter, f"dismissed: {reason}"[:300])


def _resolve(letter: DeadLetter, resolution: str) -> None:
    with transaction.atomic(durable=True):
        letter.resolved_at = timezone.now()
        letter.resolution = resolution
        letter.save(update_fields=["resolved_at", "resolution"])
