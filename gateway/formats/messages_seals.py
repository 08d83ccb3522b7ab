"""Signatures of other providers inside Anthropic's thinking blocks.

A Messages client keeps ``signature`` and sends it back unread. So it can carry what any provider wants back with its
thoughts, wrapped so that it is recognised when it returns: whose it is, and to which tool call or text it belongs.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

_MARK = "fa1."
ORIGIN = "anthropic"


class Seal(msgspec.Struct, array_like=True):
    """What is wrapped: see ``form.Thinking``; ``call_id`` where it belongs to a call, or ``is_of_text``."""

    origin: str
    seal: str
    id: str = ""
    call_id: str = ""
    is_of_text: bool = False


_DECODER = msgspec.json.Decoder(Seal)


def wrap(seal: Seal) -> str:
    """Return the signature to show; Anthropic's own is shown as it is."""
    if seal.origin == ORIGIN:
        return seal.seal
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(seal)).decode()


def unwrap(signature: str) -> Seal:
    """Return what a signature stands for; one that is not ours is Anthropic's own, and an empty one nobody's."""
    if not is_wrapped(signature):
        return Seal(ORIGIN if signature else "", signature)
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(signature.removeprefix(_MARK)))
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError, RecursionError):
        return Seal("", "")


def is_wrapped(signature: str) -> bool:
    """Tell whether a signature was made here, so that no upstream may see it."""
    return signature.startswith(_MARK)
