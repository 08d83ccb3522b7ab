"""Gemini hears and sees whatever it is given: nothing goes there that was held as something shorter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import form as f
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.gemini import Gemini
from tests.gateway.attempts import attempt, channel


def sent(part: f.Part) -> Any:
    prepared = Gemini().prepare(
        f.Form([f.Message("user", [part])]), attempt(channel=channel("google", "gemini"))
    )
    (shown,) = json.loads(prepared.body)["contents"][0]["parts"]
    return shown


@pytest.mark.parametrize(
    "part",
    [
        f.Image(url="https://a.example/film.mp4"),
        f.Image(url="https://a.example/book.pdf"),
        f.Image(url="https://a.example/talk.mp3"),
        f.Image(data="aa", media_type="video/mp4"),
        f.Image(data="aa", media_type=" VIDEO/mp4"),
        f.Image(data="aa", media_type="application/pdf"),
        f.File(url="https://a.example/film.mp4"),
        f.File(url="https://www.youtube.com/watch?v=1", media_type="application/pdf"),
        f.File(url="https://a.example/talk", media_type="audio/mp3"),
        f.File(data="aa", media_type="video/webm"),
    ],
)
def test_what_is_longer_than_it_was_held_for_is_refused(part: f.Part) -> None:
    with pytest.raises(CannotExpress) as refused:
        sent(part)

    assert refused.value.field == "messages"


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (
            f.Image(url="https://a.example/a.png"),
            {"fileData": {"fileUri": "https://a.example/a.png", "mimeType": "image/png"}},
        ),
        (
            f.Image(data="aa", media_type="image/webp"),
            {"inlineData": {"mimeType": "image/webp", "data": "aa"}},
        ),
        (
            f.File(url="https://a.example/book.pdf"),
            {"fileData": {"fileUri": "https://a.example/book.pdf", "mimeType": "application/pdf"}},
        ),
        (f.File(data="aa", media_type="audio/mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "aa"}}),
        (f.Audio("aa", "wav"), {"inlineData": {"mimeType": "audio/wav", "data": "aa"}}),
    ],
)
def test_pictures_documents_and_sound_go_out_as_they_are(part: f.Part, shown: dict[str, Any]) -> None:
    assert sent(part) == shown
