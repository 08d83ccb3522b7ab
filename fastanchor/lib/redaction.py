"""Secrets out of text: what is written anywhere for people to read passes through here first."""

from __future__ import annotations

import re

GONE = "[removed]"
_SECRETS = (
    (re.compile(r"\b(?:sk|rk|pk|whsec)[-_][A-Za-z0-9_-]{6,}"), GONE),
    (re.compile(r"\bfa_live_[A-Za-z0-9]+"), f"fa_live_{GONE}"),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{10,}"), GONE),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), rf"\1 {GONE}"),
    # A cookie, as a browser sends it or as we set it.
    (re.compile(r"(?i)((?:sessionid|csrftoken)[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9]{16,}"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b((?:api[-_]?)?key|token|password|secret)=[^\s&\"']+"), rf"\1={GONE}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@"), rf"\1:{GONE}@"),
)
# A key of a ring ("k1:<64 hex>") or a pepper is nothing but hexadecimal digits.
_RING_KEY = re.compile(r"\b[0-9a-fA-F]{64}\b")


def redact(text: str) -> str:
    """Return ``text`` without keys, bearer tokens, cookies, and passwords in addresses."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _RING_KEY.sub(GONE, text)
