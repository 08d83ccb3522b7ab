"""Pictures, recordings and documents as parts of the Gemini protocol.

Google fetches public addresses by itself. Addresses of Google's own stores are refused: there our credential may open
what belongs to others.
"""

from __future__ import annotations

import mimetypes
from typing import Any
from urllib.parse import urlsplit

from gateway import form as f
from gateway.upstreams.base import CannotExpress

# Not every system's own list knows these.
_NEWER_KINDS = {"webp": "image/webp", "heic": "image/heic", "heif": "image/heif"}
_GOOGLE_STORES = ("googleapis.com", "storage.cloud.google.com", "drive.google.com")


def image_part(image: f.Image) -> dict[str, Any]:
    """Return a picture."""
    if image.url:
        return _fetched(image.url, "")
    return _inline(image.media_type, image.data)


def audio_part(audio: f.Audio) -> dict[str, Any]:
    """Return a recording."""
    return _inline(f"audio/{audio.format}", audio.data)


def file_part(file: f.File) -> dict[str, Any]:
    """Return a document; plain text becomes text."""
    if file.url:
        return _fetched(file.url, file.media_type)
    if file.data:
        return _inline(file.media_type, file.data)
    title = f"{file.name}:\n" if file.name else ""
    return {"text": title + file.text}


def _inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _fetched(url: str, media_type: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme != "https" or not host or _is_googles(host):
        raise CannotExpress(
            "messages", "This model reads only public https addresses. Send the file itself as base64."
        )
    # Google does not look: what is not told is refused there.
    ending = parts.path.rpartition(".")[2].lower()
    kind = media_type or _NEWER_KINDS.get(ending) or mimetypes.guess_type(parts.path)[0]
    if not kind:
        raise CannotExpress(
            "messages", "This address does not tell what kind of file it is. Send the file itself as base64."
        )
    return {"fileData": {"fileUri": url, "mimeType": kind}}


def _is_googles(host: str) -> bool:
    return any(host == store or host.endswith(f".{store}") for store in _GOOGLE_STORES)
