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

# What Google takes to be a film, whatever type is told.
_FILM_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")
# Not every system's own list knows these.
_NEWER_KINDS = {"webp": "image/webp", "heic": "image/heic", "heif": "image/heif"}
_GOOGLE_STORES = ("googleapis.com", "storage.cloud.google.com", "drive.google.com")


def image_part(image: f.Image) -> dict[str, Any]:
    """Return a picture; nothing else may pass for one, or an hour's film would be held like a picture."""
    if image.url:
        return _fetched(image.url, "", only="image/")
    if not _is(image.media_type, "image/"):
        raise CannotExpress("messages", "A picture must be of a type that begins with 'image/'.")
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


def _is(media_type: str, kind: str) -> bool:
    return media_type.strip().lower().startswith(kind)


def _refuse_film(media_type: str) -> None:
    if _is(media_type, "video/"):
        raise CannotExpress("messages", "Films are not offered: they are billed by a measure of their own.")


def _inline(media_type: str, data: str) -> dict[str, Any]:
    _refuse_film(media_type)
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _fetched(url: str, media_type: str, *, only: str = "") -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme != "https" or not host or _is_at(host, _GOOGLE_STORES):
        raise CannotExpress(
            "messages", "This model reads only public https addresses. Send the file itself as base64."
        )
    _refuse_film("video/" if _is_at(host, _FILM_HOSTS) else "")
    # Google does not look: what is not told is refused there.
    ending = parts.path.rpartition(".")[2].lower()
    kind = media_type or _NEWER_KINDS.get(ending) or mimetypes.guess_type(parts.path)[0]
    if not kind:
        raise CannotExpress(
            "messages", "This address does not tell what kind of file it is. Send the file itself as base64."
        )
    if not _is(kind, only):
        raise CannotExpress("messages", "This address is not that of a picture.")
    _refuse_film(kind)
    if _is(kind, "audio/"):
        # Nothing tells how long it is, and an hour of it is as many tokens as a book.
        raise CannotExpress("messages", "A recording cannot be fetched from its address. Send it as base64.")
    return {"fileData": {"fileUri": url, "mimeType": kind}}


def _is_at(host: str, places: tuple[str, ...]) -> bool:
    return any(host == place or host.endswith(f".{place}") for place in places)
