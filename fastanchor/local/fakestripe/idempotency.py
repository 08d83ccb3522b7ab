"""Idempotency keys: the same key gets the same answer for a day, whatever the answer was."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.world import World

_DAY = 86_400
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status and body."""

    status: int
    body: dict[str, Any]
    is_replayed: bool = False


def recall(world: World, key: str, request: str) -> Reply | None:
    """Return what a key was answered; raises ``StripeError`` where it was used for something else."""
    if len(key) > _LONGEST:
        raise invalid(f"Idempotency keys can be at most {_LONGEST} characters long.")
    known = world.replays().get(key)
    if known is None or known["at"] < world.now() - _DAY:
        return None
    if known["request"] != _digest(request):
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key "
            f"other than '{key}' if you meant to execute a different request."
        )
        raise StripeError(message, kind="idempotency_error", is_remembered=False)
    return Reply(known["status"], known["body"], is_replayed=True)


def remember(world: World, key: str, request: str, reply: Reply) -> None:
    """Keep an answer for its key."""
    world.replays()[key] = {
        "at": world.now(),
        "body": reply.body,
        "request": _digest(request),
        "status": reply.status,
    }


def _digest(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()
