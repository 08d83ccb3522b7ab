"""One person, many spellings: which e-mail addresses reach the same mailbox."""

from __future__ import annotations

# Mail to these reaches the same person with or without dots.
_DOTLESS_DOMAINS = frozenset({"gmail.com", "googlemail.com"})


def canonical(email: str) -> str:
    """Return the address without case, without a ``+tag`` and, at Gmail, without dots; for comparing only."""
    local, _, domain = email.strip().lower().rpartition("@")
    mailbox = local.partition("+")[0] or local
    if domain in _DOTLESS_DOMAINS:
        return f"{mailbox.replace('.', '')}@gmail.com"
    return f"{mailbox}@{domain}"
