"""The audit log: ``record`` is called inside the transaction of the change, so both happen or neither does.

Who acts is known without being passed along: the middleware ``acting`` notes the request; without one it is the process.
Secrets are left out by the name of their field, and by their look.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts import visitors
from accounts.audit_entry import AuditEntry
from accounts.models import User
from fastanchor.lib.redaction import GONE, redact

_MOST_TEXT = 200
_MOST_REASON = 300
_MOST_BYTES = 4_000
# Whatever fields of these names hold is nobody's business but their owner's.
_SECRET = frozenset({"data", "digest", "token"})
_SECRET_PARTS = ("credential", "password", "secret")


class NoReason(ValueError):
    """What staff changes, books or closes by hand needs a reason."""


def reasoned(reason: str) -> str:
    """Return a reason without blanks around it; raises ``NoReason``."""
    if not reason.strip():
        raise NoReason
    return reason.strip()


_request: ContextVar[HttpRequest | None] = ContextVar("audit_request", default=None)
_reason: ContextVar[str] = ContextVar("audit_reason", default="")


def acting(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: note whose request causes what is recorded meanwhile."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return middleware


@contextmanager
def because(reason: str) -> Iterator[None]:
    """Let all that is recorded meanwhile tell this reason; an empty one leaves what is told around it."""
    token = _reason.set(reason or _reason.get())
    try:
        yield
    finally:
        _reason.reset(token)


def record(  # noqa: PLR0913 - each is a column
    what: str,
    *,
    subject: str = "",
    organization_id: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    by: User | None = None,
    reason: str = "",
) -> AuditEntry:
    """Write one entry; without ``by``, the user of the present request did it, else this process.

    Without ``reason``, it is the one that ``because`` has set around the call.
    """
    request = _request.get()
    actor = by or _user_of(request)
    return AuditEntry.objects.create(
        what=what,
        subject=redact(subject)[:_MOST_TEXT],
        organization_id=organization_id,
        user_id=actor.pk if actor else None,
        email=actor.email if actor else "",
        process="" if actor else _process(),
        address=(visitors.address_of(request) or None) if request else None,
        reason=redact(reason or _reason.get())[:_MOST_REASON],
        before=_bounded(before or {}),
        after=_bounded(after or {}),
    )


def record_change(
    what: str, *, before: Mapping[str, object], after: Mapping[str, object], **facts: Any
) -> None:
    """Write one entry with the fields that differ, or none where nothing does."""
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if changed:
        record(
            what,
            before={name: value for name, value in before.items() if name in changed},
            after={name: value for name, value in after.items() if name in changed},
            **facts,
        )


def forget_address_of(user: User) -> None:
    """Take the e-mail address of a person who is leaving out of the log; the number stays."""
    AuditEntry.objects.filter(user_id=user.pk).exclude(email="").update(email="")


def _user_of(request: HttpRequest | None) -> User | None:
    # Who looks at a customer's pages (``log_in_as``) is named by the own name.
    user = getattr(request, "hijacker", None) or getattr(request, "user", None)
    return user if isinstance(user, User) else None


def _process() -> str:
    """Name the command that this process runs, or the program that it is."""
    program = Path(sys.argv[0]).name
    return f"command {sys.argv[1]}"[:80] if program == "manage.py" and len(sys.argv) > 1 else program[:80]


def _bounded(values: Mapping[str, object]) -> dict[str, object]:
    """Return values as short JSON without secrets; of too many, only their names."""
    plain = {name: GONE if _is_secret(name) else _plain(value) for name, value in values.items()}
    if len(json.dumps(plain)) > _MOST_BYTES:
        return {"fields": sorted(plain)[:100]}
    return plain


def _is_secret(name: str) -> bool:
    return name in _SECRET or any(part in name for part in _SECRET_PARTS)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in list(value)[:50]]
    if isinstance(value, dict):
        return _bounded({str(name): each for name, each in value.items()})
    text = redact(str(value))
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
