"""Sealing of what must be read again: AES-256-GCM with a ring of keys, the newest first.

A sealed text is ``kid:base64(nonce + ciphertext)``, sealed bytes are the same without base64. The associated data names the place it belongs to
(``table:column:primary key``), so a sealed text copied to another row does not open there.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_NONCE_BYTES = 12
_KEY_BYTES = 32


class CannotUnseal(Exception):
    """A sealed text does not open: unknown key, wrong key, wrong place, or it is damaged."""


def seal(plaintext: str, *, aad: str) -> str:
    """Encrypt a text with the newest key for the place that ``aad`` names."""
    kid = newest_kid()
    nonce = os.urandom(_NONCE_BYTES)
    ciphertext = _ring(settings.CHANNEL_KEYS)[kid].encrypt(nonce, plaintext.encode(), aad.encode())
    return f"{kid}:{base64.b64encode(nonce + ciphertext).decode()}"


def unseal(sealed: str, *, aad: str) -> str:
    """Decrypt what ``seal`` returned for the same place; raises ``CannotUnseal``."""
    kid, _, encoded = sealed.partition(":")
    key = _ring(settings.CHANNEL_KEYS).get(kid)
    if key is None:
        message = f"no key {kid!r} in the key ring"
        raise CannotUnseal(message)
    try:
        raw = base64.b64decode(encoded, validate=True)
        return key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], aad.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError):
        # The cause is dropped: it carries nothing, and a trace must not show the inputs.
        message = f"key {kid!r} does not open it here"
        raise CannotUnseal(message) from None


def seal_bytes(plaintext: bytes, *, ring: str, aad: str) -> bytes:
    """Encrypt bytes with the newest key of a ring for the place that ``aad`` names."""
    kid, key = next(iter(_ring(ring).items()))
    nonce = os.urandom(_NONCE_BYTES)
    return kid.encode() + b":" + nonce + key.encrypt(nonce, plaintext, aad.encode())


def unseal_bytes(sealed: bytes, *, ring: str, aad: str) -> bytes:
    """Decrypt what ``seal_bytes`` returned for the same place; raises ``CannotUnseal``."""
    name, _, raw = sealed.partition(b":")
    kid = name.decode(errors="replace")
    key = _ring(ring).get(kid)
    if key is None:
        message = f"no key {kid!r} in the key ring"
        raise CannotUnseal(message)
    try:
        return key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], aad.encode())
    except (InvalidTag, ValueError):
        message = f"key {kid!r} does not open it here"
        raise CannotUnseal(message) from None


def newest_kid() -> str:
    """Return the name of the key that ``seal`` uses."""
    return next(iter(_ring(settings.CHANNEL_KEYS)))


def is_sealed_with_newest(sealed: str) -> bool:
    """Tell whether a sealed text already uses the newest key."""
    return sealed.partition(":")[0] == newest_kid()


@functools.lru_cache(maxsize=4)
def _ring(text: str) -> dict[str, AESGCM]:
    ring = dict(_parse(entry.strip()) for entry in text.split(",") if entry.strip())
    if not ring:
        raise ImproperlyConfigured("A ring of keys holds no key; write name:64 hex digits.")
    return ring


def _parse(entry: str) -> tuple[str, AESGCM]:
    kid, _, digits = entry.partition(":")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if not kid or len(key) != _KEY_BYTES:
        # Only the name is shown; the rest is the secret.
        message = f"Key {kid!r} of a ring of keys must be name:64 hex digits."
        raise ImproperlyConfigured(message)
    return kid, AESGCM(key)
