"""``/v1/audio/speech``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.asked import NO_UNITS, Prompt
from gateway.errors import InvalidRequest
from gateway.formats.manners import OpenAiManners
from gateway.formats.passed_on import PassedOn
from gateway.formats.reading import read

# A second of speech is about 20 tokens and 15 characters; slow voices and pauses take several times as long.
_TOKENS_PER_CHARACTER = 8
_LEAST_TOKENS = 512
# Who tells the voice how to speak can make a word last for minutes.
_LEAST_INSTRUCTED = 4_096


class SpeechRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A body of ``/v1/audio/speech``."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    input: Annotated[str, Meta(min_length=1, max_length=4_096)]
    voice: Annotated[str, Meta(min_length=1, max_length=100)] | dict[Literal["id"], str]
    instructions: Annotated[str, Meta(max_length=4_096)] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    stream_format: Literal["sse", "audio"] | None = None


_DECODER = msgspec.json.Decoder(SpeechRequest)


class Speech(OpenAiManners):
    """The format of ``/v1/audio/speech``."""

    name = "speech"
    kind = "speech"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> PassedOn[SpeechRequest]:
        """See ``Format.parse``."""
        request = read(_DECODER, body)
        if request.stream_format == "sse":
            raise InvalidRequest("Speech comes as audio, not as events.", param="stream_format")
        request.stream_format = None
        characters = len(request.input)
        least = _LEAST_INSTRUCTED if request.instructions else _LEAST_TOKENS
        said = request.input + (request.instructions or "")
        return PassedOn(
            request,
            request.model,
            Prompt(text_bytes=len(said.encode()), images=0, audios=0, files=0),
            explicit_max=least + _TOKENS_PER_CHARACTER * characters,
            most_units=msgspec.structs.replace(NO_UNITS, characters=characters),
        )
