"""What providers want back with their thoughts, wrapped so that a client of another format carries it.

Clients keep such texts unread and send them back. So one can hold what any provider sealed, marked so that it is
recognised when it returns: whose it is, and for which tool call or text.
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
    id: str = ""


_DECODER = msgspec.json.Decoder(Seal)


def wrap(seal: Seal, *, own: str) -> str:
    """Return the text to show; what the format's ``own`` provider sealed is shown as it is."""
    if seal.origin == own:
        return seal.seal
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(seal)).decode()


def unwrap(text: str, *, own: str) -> Seal:
    """Return what a text stands for; one that was not wrapped is the ``own`` provider's, and an empty one nobody's."""
    if not is_wrapped(text):
        return Seal(own if text else "", text)
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(text.removeprefix(_MARK)))
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError, RecursionError):
        return Seal("", "")


def is_wrapped(text: str) -> bool:
    """Tell whether a text was wrapped here, so that no upstream may see it."""
    return text.startswith(_MARK)
