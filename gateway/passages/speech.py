"""Speech: sound comes back, and what it cost is told only by an event stream.

Models billed by the character need no report. For the others the upstream is asked for events, the sound in them is
put together, and the caller gets it whole.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from catalog.pricing import Usage
from gateway.asked import NO_UNITS, Attempt
from gateway.formats.passed_on import PassedOn
from gateway.formats.speech import SpeechRequest
from gateway.passages.base import Answer
from gateway.passages.pass_through import PassThrough, json_headers
from gateway.upstreams.base import NONSENSE, BadAnswer, Prepared
from gateway.upstreams.faults import UpstreamTooLarge
from gateway.upstreams.reports import sane
from gateway.upstreams.sse import EventSplitter

_CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class _Usage(msgspec.Struct):
    input_tokens: int
    output_tokens: int


class _Event(msgspec.Struct):
    type: str = ""
    audio: str = ""
    usage: _Usage | None = None


_EVENT = msgspec.json.Decoder(_Event)
_ENCODER = msgspec.json.Encoder()


class SpeechPassage(PassThrough):
    """``/audio/speech``."""

    def __init__(self) -> None:
        super().__init__("/audio/speech", "")

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        body = msgspec.structs.replace(
            _request(attempt),
            model=attempt.route.upstream_model,
            stream_format=None if _is_by_character(attempt) else "sse",
        )
        return Prepared(self._target, json_headers(attempt.route.channel), _ENCODER.encode(body))

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        request = _request(attempt)
        if _is_by_character(attempt):
            sound, usage = body, msgspec.structs.replace(NO_UNITS, characters=len(request.input))
        else:
            sound, usage = _assembled(body)
        # An error page instead of sound must not be sold.
        if not sound or sound[:1] in {b"{", b"<"}:
            raise BadAnswer("no sound")
        return Answer(
            body=sound,
            usage=usage,
            text_tokens=0,
            has_output=True,
            finish_reason="stop",
            upstream_id="",
            content_type=_CONTENT_TYPES[request.response_format or "mp3"],
        )


def _request(attempt: Attempt) -> SpeechRequest:
    assert isinstance(attempt.asked, PassedOn)
    assert isinstance(attempt.asked.body, SpeechRequest)
    return attempt.asked.body


def _is_by_character(attempt: Attempt) -> bool:
    return attempt.rates.character is not None


def _assembled(stream: bytes) -> tuple[bytes, Usage]:
    """Return the sound and the usage of an event stream; without a report it is no whole answer."""
    splitter = EventSplitter()
    sound = bytearray()
    usage: Usage | None = None
    try:
        for data in (*splitter.feed(stream), *splitter.finish()):
            if data == b"[DONE]":
                continue
            event = _EVENT.decode(data)
            sound += base64.b64decode(event.audio, validate=True)
            if event.usage is not None:
                counts = event.usage
                usage = sane(
                    Usage(
                        counts.input_tokens,
                        0,
                        0,
                        counts.output_tokens,
                        0,
                        audio_output_tokens=counts.output_tokens,
                    )
                )
    except (*NONSENSE, binascii.Error, UpstreamTooLarge) as exc:
        raise BadAnswer("not a stream of speech") from exc
    if usage is None:
        raise BadAnswer("speech broke off")
    return bytes(sound), usage
