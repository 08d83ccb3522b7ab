"""Signatures of thoughts, which a client has to bring back unchanged; every sandbox recognises those of any other."""

from __future__ import annotations

import base64
import hashlib
import hmac

# No secret: it only has to be the same in every process.
_KEY = b"fastanchor sandbox"
_DIGEST_BYTES = 32


def seal(kind: str, content: str) -> str:
    """Return a signature of ``content``, readable by the protocol ``kind`` alone."""
    digest = hmac.new(_KEY, f"{kind}\x1f{content}".encode("utf-8", "replace"), hashlib.sha256).digest()
    return base64.b64encode(kind.encode() + b"\x00" + digest).decode()


def is_intact(sealed: str, kind: str, content: str) -> bool:
    """Tell whether ``sealed`` is what ``seal`` gave for the same content; URL-safe base64 counts as the same."""
    usual = sealed.translate(str.maketrans("-_", "+/"))
    return hmac.compare_digest(usual.encode("utf-8", "replace"), seal(kind, content).encode())


def is_of(sealed: str, kind: str) -> bool:
    """Tell whether ``sealed`` is a signature of the protocol ``kind``, whatever it signs."""
    try:
        packed = base64.urlsafe_b64decode(sealed)
    except ValueError:
        return False
    return len(packed) == len(kind) + 1 + _DIGEST_BYTES and packed.startswith(kind.encode() + b"\x00")


def enclose(kind: str, content: str) -> str:
    """Return ``content`` itself in a form that only the protocol ``kind`` can open."""
    return base64.urlsafe_b64encode(_tag(kind, content) + content.encode("utf-8", "replace")).decode()


def opens(enclosed: str, kind: str) -> bool:
    """Tell whether ``enclosed`` came from ``enclose`` and was not changed."""
    try:
        packed = base64.urlsafe_b64decode(enclosed)
        content = packed[_DIGEST_BYTES:].decode()
    except ValueError:
        return False
    return hmac.compare_digest(packed[:_DIGEST_BYTES], _tag(kind, content))


def _tag(kind: str, content: str) -> bytes:
    return hmac.new(_KEY, f"{kind}\x1e{content}".encode("utf-8", "replace"), hashlib.sha256).digest()
