"""Signatures of other providers as the ``encrypted_content`` of reasoning items.

A Responses client keeps ``encrypted_content`` and sends it back unread. So it can carry what any provider wants back
with its thoughts, wrapped so that it is recognised when it returns: whose it is, and for which tool call.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

_MARK = "fa1."


class Seal(msgspec.Struct, array_like=True):
    """What is wrapped: see ``form.Thinking``; it may belong to a tool call or to the text before it instead."""

    origin: str
    seal: str
    is_redacted: bool = False
    call_id: str = ""
    is_of_text: bool = False


_DECODER = msgspec.json.Decoder(Seal)


def wrap(seal: Seal) -> str:
    """Return the text for ``encrypted_content``; OpenAI's own is told as it is."""
    if seal.origin == "responses":
        return seal.seal
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(seal)).decode()


def unwrap(text: str) -> Seal:
    """Return what a text stands for; one that is not ours is OpenAI's own."""
    if not is_wrapped(text):
        return Seal("responses", text)
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(text.removeprefix(_MARK)))
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError):
        return Seal("", "")


def is_wrapped(text: str) -> bool:
    """Tell whether a text was wrapped here, so that no upstream may see it."""
    return text.startswith(_MARK)
