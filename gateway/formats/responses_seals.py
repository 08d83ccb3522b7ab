"""Signatures of other providers as the ``encrypted_content`` of reasoning items; see ``formats.seals``."""

from __future__ import annotations

from gateway.formats import seals
from gateway.formats.seals import Seal, is_wrapped

__all__ = ["Seal", "is_wrapped", "unwrap", "wrap"]

_ORIGIN = "responses"


def wrap(seal: Seal) -> str:
    """Return the text for ``encrypted_content``; OpenAI's own is told as it is."""
    return seals.wrap(seal, own=_ORIGIN)


def unwrap(text: str) -> Seal:
    """Return what a text stands for."""
    return seals.unwrap(text, own=_ORIGIN)
