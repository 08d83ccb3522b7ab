"""Thought signatures of Google's two services, which neither reads of the other.

Those of Vertex AI are marked, so that a conversation that moves from one to the other leaves them behind.
"""

from __future__ import annotations

from typing import Literal

Service = Literal["gemini", "vertex"]

ORIGIN = "gemini"
# Gemini 3 refuses a call in the history without a signature. This is Google's documented word for a call that some
# other model made, or whose signature a client has dropped.
NO_SIGNATURE = "skip_thought_signature_validator"
# No signature, which is base64, holds a colon.
_VERTEX = "vertex:"


def marked(signature: str, service: Service) -> str:
    """Return a signature as it is shown and kept."""
    return _VERTEX + signature if signature and service == "vertex" else signature


def unmarked(seal: str, service: Service) -> str:
    """Return what a service itself gave; empty for what came from the other one."""
    if seal.startswith(_VERTEX):
        return seal.removeprefix(_VERTEX) if service == "vertex" else ""
    return seal if service == "gemini" else ""
