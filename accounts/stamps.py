"""When a session began and was last used: two numbers inside it, so that most requests need not write anything."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest

BEGUN, SEEN = "begun_at", "seen_at"
SEEN_EVERY_S = 300


def begin(*, request: HttpRequest, **_: Any) -> None:
    """Note in the session of a login when it began."""
    request.session[BEGUN] = request.session[SEEN] = int(time.time())


def is_too_old(request: HttpRequest) -> bool:
    """Tell whether a session began so long ago that its user has to log in again."""
    begun: int = request.session.get(BEGUN, 0)
    return bool(begun) and time.time() - begun >= settings.SESSION_LONGEST_S


def is_idle(request: HttpRequest) -> bool:
    """Tell whether a session of staff was left alone for so long that it ends; its use is noted every few minutes."""
    seen: int = request.session.get(SEEN, 0)
    return bool(seen) and time.time() - seen >= settings.STAFF_IDLE_S


def is_due(request: HttpRequest) -> bool:
    """Tell whether it is time to note that a session is in use."""
    seen: int = request.session.get(SEEN, 0)
    return time.time() - seen >= SEEN_EVERY_S


def renew(request: HttpRequest) -> None:
    """Note that a session is in use; being saved, it is also kept for longer."""
    now = int(time.time())
    request.session[SEEN] = now
    request.session.setdefault(BEGUN, now)
