"""One person, many spellings: which e-mail addresses reach the same mailbox, and which of them last ten minutes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.utils.crypto import salted_hmac

# Mail to these reaches the same person with or without dots.
_DOTLESS_DOMAINS = frozenset({"gmail.com", "googlemail.com"})


def canonical(email: str) -> str:
    """Return the address without case, without a ``+tag`` and, at Gmail, without dots; for comparing only."""
    local, _, domain = email.strip().lower().rpartition("@")
    mailbox = local.partition("+")[0] or local
    if domain in _DOTLESS_DOMAINS:
        return f"{mailbox.replace('.', '')}@gmail.com"
    return f"{mailbox}@{domain}"


def mark(email: str) -> str:
    """Return what is kept of an address to know it again: the same for every spelling, and nothing to guess from."""
    return salted_hmac("accounts.emails.mark", canonical(email), algorithm="sha256").hexdigest()


def is_disposable(email: str) -> bool:
    """Tell whether the mailbox is one that anybody opens for ten minutes."""
    parts = email.strip().lower().rpartition("@")[2].rstrip(".").split(".")
    return any(".".join(parts[start:]) in _disposable() for start in range(len(parts)))


@cache
def _disposable() -> frozenset[str]:
    lines = (
        (Path(__file__).parent / "data" / "disposable_domains.txt").read_text(encoding="utf-8").split("\n")
    )
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
