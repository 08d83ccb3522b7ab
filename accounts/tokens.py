"""The secret itself: how a token looks, how it is checked without a store, and what of it is kept.

A token is ``fa_live_``, 30 random base62 digits (178 bits) and the CRC-32 of all that in 6 base62 digits. The
checksum finds typing errors and lets secret scanners be sure; it protects nothing. Pure functions, no store.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from collections.abc import Sequence

from fastanchor.lib.ids import base62, random_base62

PREFIX = "fa_live_"
_RANDOM_DIGITS = 30
_CHECK_DIGITS = 6
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECK_DIGITS}}}")
_SHOWN_FIRST = 12
_SHOWN_LAST = 4
_PEPPER_BYTES = 16
_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def new_token() -> str:
    """Return a fresh token; it must be shown once and never stored."""
    body = PREFIX + random_base62(_RANDOM_DIGITS)
    return body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Tell whether the shape and the checksum fit, so that a mistyped token costs no lookup."""
    if _SHAPE.fullmatch(token) is None:
        return False
    return _checksum(token[:-_CHECK_DIGITS]) == token[-_CHECK_DIGITS:]


def digests(token: str, peppers: Sequence[bytes]) -> list[bytes]:
    """Return the HMAC-SHA-256 of a token under each pepper, in the order of the peppers."""
    return [digest(token, pepper) for pepper in peppers]


def digest(token: str, pepper: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a token: 32 bytes, all that is ever stored of it."""
    inner, outer = _begun(pepper)
    inner, outer = inner.copy(), outer.copy()
    inner.update(token.encode())
    outer.update(inner.digest())
    return outer.digest()


# The two hashes of RFC 2104 after their first block, which is the same for every token: half the work of a digest that
# each request needs.
@functools.lru_cache(maxsize=8)
def _begun(pepper: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    key = (hashlib.sha256(pepper).digest() if len(pepper) > _BLOCK_BYTES else pepper).ljust(
        _BLOCK_BYTES, b"\0"
    )
    return hashlib.sha256(key.translate(_INNER)), hashlib.sha256(key.translate(_OUTER))


def shown_parts(token: str) -> tuple[str, str]:
    """Return the first 12 and the last 4 characters, by which people recognise a key."""
    return token[:_SHOWN_FIRST], token[-_SHOWN_LAST:]


def parse_peppers(text: str) -> tuple[bytes, ...]:
    """Read ``2:<hex>,1:<hex>``, newest first; raises ``ValueError``, which never repeats the secret."""
    peppers: dict[str, bytes] = {}
    for part in text.split(","):
        version, separator, digits = part.strip().partition(":")
        if not separator or not version or version in peppers:
            raise ValueError("FASTANCHOR_API_KEY_PEPPERS must read 2:<hex>,1:<hex> with each version once.")
        peppers[version] = _pepper(version, digits)
    return tuple(peppers.values())


def _pepper(version: str, digits: str) -> bytes:
    try:
        pepper = bytes.fromhex(digits)
    except ValueError:
        message = f"Pepper {version!r} of FASTANCHOR_API_KEY_PEPPERS is not hexadecimal."
        raise ValueError(message) from None
    if len(pepper) < _PEPPER_BYTES:
        message = f"Pepper {version!r} of FASTANCHOR_API_KEY_PEPPERS needs {_PEPPER_BYTES} bytes or more."
        raise ValueError(message)
    return pepper


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), _CHECK_DIGITS)
