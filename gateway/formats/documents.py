"""Documents in base64, weighed for the estimate."""

from __future__ import annotations


def packed_bytes(data: str, media_type: str = "") -> int:
    """Return the length of a document whose bytes are pages rather than words."""
    is_text = data.startswith("data:text/") or media_type.startswith("text/")
    return 0 if is_text else len(data)
