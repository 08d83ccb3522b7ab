"""Transcriptions: a form goes out, JSON comes back, and the caller gets the kind of transcript that was asked for.

Only JSON tells what is billed, so the upstream is always asked for it and plain text and subtitles are written here.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from catalog.pricing import Usage
from gateway.asked import NO_UNITS, Attempt
from gateway.formats.passed_on import PassedOn
from gateway.formats.transcriptions import TranscriptionRequest
from gateway.passages.base import Answer
from gateway.passages.pass_through import PassThrough, key_headers
from gateway.upstreams.base import NONSENSE, BadAnswer, CannotExpress, Prepared
from gateway.upstreams.reports import sane

_NEEDS_SEGMENTS = frozenset({"srt", "vtt", "verbose_json"})


class _Details(msgspec.Struct):
    audio_tokens: int | None = None


class _Usage(msgspec.Struct):
    type: str = "tokens"
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    input_token_details: _Details | None = None


class _Segment(msgspec.Struct):
    start: float
    end: float
    text: str


class _Transcript(msgspec.Struct):
    text: str
    duration: float | None = None
    segments: list[_Segment] | None = None
    usage: _Usage | None = None


class TranscriptionPassage(PassThrough):
    """``/audio/transcriptions``."""

    def __init__(self) -> None:
        super().__init__("/audio/transcriptions", "")

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        request = _request(attempt)
        if request.response_format in _NEEDS_SEGMENTS and not _is_by_second(attempt):
            raise CannotExpress("response_format", "This model writes 'json' and 'text' only.")
        boundary = f"fastanchor-{attempt.request_id}"
        headers = (
            ("content-type", f"multipart/form-data; boundary={boundary}"),
            *key_headers(attempt.route.channel),
        )
        return Prepared(self._target, headers, _form(request, attempt.route.upstream_model, boundary))

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        request = _request(attempt)
        try:
            raw: Any = msgspec.json.decode(body)
            transcript = msgspec.convert(raw, _Transcript)
        except NONSENSE as exc:
            raise BadAnswer("not a transcript") from exc
        text, kind = _written(request, transcript, raw)
        return Answer(
            body=text,
            usage=_usage(transcript, attempt),
            text_tokens=0,
            has_output=True,
            finish_reason="stop",
            upstream_id="",
            content_type=kind,
        )


def _request(attempt: Attempt) -> TranscriptionRequest:
    assert isinstance(attempt.asked, PassedOn)
    assert isinstance(attempt.asked.body, TranscriptionRequest)
    return attempt.asked.body


def _is_by_second(attempt: Attempt) -> bool:
    return attempt.rates.second is not None


def _form(request: TranscriptionRequest, model: str, boundary: str) -> bytes:
    wanted = "verbose_json" if request.response_format in _NEEDS_SEGMENTS else "json"
    fields = [("model", model), ("response_format", wanted)]
    fields += [("timestamp_granularities[]", each) for each in request.timestamp_granularities]
    fields += [("include[]", each) for each in request.include]
    for name in ("language", "prompt", "temperature"):
        if (value := getattr(request, name)) is not None:
            fields.append((name, str(value)))
    mark = f"--{boundary}\r\n".encode()
    parts = [
        b'%bContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (mark, name.encode(), value.encode())
        for name, value in fields
    ]
    # The name tells the codec by its ending; nothing else of what the caller wrote goes into a header.
    ending = "".join(sign for sign in request.filename.rpartition(".")[2] if sign.isalnum())[:8] or "mp3"
    parts.append(
        b'%bContent-Disposition: form-data; name="file"; filename="audio.%b"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%b\r\n" % (mark, ending.encode(), request.file)
    )
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def _usage(transcript: _Transcript, attempt: Attempt) -> Usage | None:
    reported = transcript.usage
    if reported is not None and reported.type == "tokens":
        details = reported.input_token_details or _Details()
        counts = Usage(reported.input_tokens, 0, 0, reported.output_tokens, 0)
        return sane(msgspec.structs.replace(counts, audio_input_tokens=details.audio_tokens or 0))
    seconds = reported.seconds if reported is not None else transcript.duration
    if seconds is None or not math.isfinite(seconds):
        return attempt.asked.most_units
    return sane(msgspec.structs.replace(NO_UNITS, seconds=math.ceil(seconds)))


def _written(request: TranscriptionRequest, transcript: _Transcript, raw: Any) -> tuple[bytes, str]:
    match request.response_format:
        case "text":
            return f"{transcript.text}\n".encode(), "text/plain; charset=utf-8"
        case "srt":
            return _subtitles(transcript.segments or [], ",").encode(), "text/plain; charset=utf-8"
        case "vtt":
            text = "WEBVTT\n\n" + _subtitles(transcript.segments or [], ".", is_numbered=False)
            return text.encode(), "text/vtt; charset=utf-8"
        case _:
            return msgspec.json.encode(raw), "application/json"


def _subtitles(segments: list[_Segment], point: str, *, is_numbered: bool = True) -> str:
    lines = []
    for number, each in enumerate(segments, 1):
        head = f"{number}\n" if is_numbered else ""
        lines.append(
            f"{head}{_clock(each.start, point)} --> {_clock(each.end, point)}\n{each.text.strip()}\n\n"
        )
    return "".join(lines)


def _clock(seconds: float, point: str) -> str:
    ms = round(seconds * 1_000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1_000 % 60:02d}{point}{ms % 1_000:03d}"
