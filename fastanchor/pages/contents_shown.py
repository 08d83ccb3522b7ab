"""Kept prompts and answers as a page shows them: text, laid out where it is JSON."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from accounts import kept_contents
from accounts.models import Organization


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request asked and was answered, as text."""

    asked: str
    answered: str
    is_cut: bool


def shown(*, organization: Organization, request_id: str) -> Shown | None:
    """Return what is kept of a request; ``None`` for nothing."""
    kept = kept_contents.find(organization=organization, request_id=request_id)
    return None if kept is None else Shown(_text(kept.asked), _text(kept.answered), kept.is_cut)


def _text(body: bytes) -> str:
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A stream, a form with a recording, or what was cut.
        return body.decode("utf-8", "replace")
