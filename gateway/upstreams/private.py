"""What an error text of Google or Amazon must not carry to a caller: keys, addresses, accounts, projects."""

from __future__ import annotations

import re

from catalog.snapshot import Channel

MAX_COMPLAINT = 500
REMOVED = "[removed]"

_PRIVATE = re.compile(
    r"(?:\bAIza[-_A-Za-z0-9]{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bABSK[A-Za-z0-9+/=]{8,}|Bearer\s+\S+|https?://\S+"
    r"|\bprojects?/[^\s/'\"]+|\bproject [-\w]+|\barn:aws\S+|\b\d{12}\b|\S+@\S+\.gserviceaccount\.com)"
)


def without_secrets(message: str, channel: Channel) -> str:
    """Return a provider's words without what is ours, cut to a readable length."""
    if channel.api_key:
        message = message.replace(channel.api_key, REMOVED)
    return _PRIVATE.sub(REMOVED, message)[:MAX_COMPLAINT]
