"""How far a report of usage is believed, whatever protocol it came in."""

from __future__ import annotations

import msgspec

from catalog.pricing import Usage

# Far beyond the window of any model, and far below what the ledger can hold.
MAX_TOKENS = 1_000_000_000


def sane(usage: Usage) -> Usage | None:
    """Return a report, or ``None`` for one beyond any model: it could neither be paid nor stored."""
    counts = msgspec.structs.astuple(usage)
    return usage if min(counts) >= 0 and max(counts) <= MAX_TOKENS else None
