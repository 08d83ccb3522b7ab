"""Signatures of other providers inside Anthropic's thinking blocks; see ``formats.seals``."""

from __future__ import annotations

from gateway.formats import seals
from gateway.formats.seals import Seal, is_wrapped

__all__ = ["ORIGIN", "Seal", "is_wrapped", "unwrap", "wrap"]

ORIGIN = "anthropic"


def wrap(seal: Seal) -> str:
    """Return the signature to show; Anthropic's own is shown as it is."""
    return seals.wrap(seal, own=ORIGIN)


def unwrap(signature: str) -> Seal:
    """Return what a signature stands for."""
    return seals.unwrap(signature, own=ORIGIN)
