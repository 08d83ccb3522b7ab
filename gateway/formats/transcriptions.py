"""``/v1/audio/transcriptions``: a form with a file, where the others are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.asked import NO_UNITS, Prompt
from gateway.errors import InvalidRequest
from gateway.formats.manners import OpenAiManners
from gateway.formats.passed_on import PassedOn
from gateway.formats.reading import explain
from gateway.formats.recordings import seconds_of

MOST_FIELDS = 64
# What a second of speech can become when it is written down, with time for a fast speaker.
_TOKENS_PER_SECOND = 10
_LEAST_TOKENS = 512
# What the estimate of audio tokens takes for a second of sound; providers count 10 to 32 tokens for it.
_BASE64_BYTES_PER_SECOND = 4_000

TranscriptFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]


class TranscriptionRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a form; ``file`` is the recording itself."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    file: bytes
    filename: str = "audio"
    language: Annotated[str, Meta(max_length=35)] | None = None
    prompt: Annotated[str, Meta(max_length=32_000)] | None = None
    response_format: TranscriptFormat = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    timestamp_granularities: list[Literal["word", "segment"]] = []
    include: list[Literal["logprobs"]] = []


class Transcriptions(OpenAiManners):
    """The format of ``/v1/audio/transcriptions``."""

    name = "transcriptions"
    kind = "transcription"
    content_type = "multipart/form-data"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> PassedOn[TranscriptionRequest]:
        """See ``Format.parse``."""
        request = _read(read_form(body, headers.get("content-type", "")))
        seconds = seconds_of(request.file)
        words = (request.prompt or "").encode()
        return PassedOn(
            request,
            request.model,
            Prompt(
                text_bytes=len(words),
                images=0,
                audios=1,
                files=0,
                audio_bytes=seconds * _BASE64_BYTES_PER_SECOND,
            ),
            explicit_max=_LEAST_TOKENS + _TOKENS_PER_SECOND * seconds,
            most_units=msgspec.structs.replace(NO_UNITS, seconds=seconds),
        )


class FormField(msgspec.Struct):
    """One field of a form."""

    name: str
    filename: str
    data: bytes


def read_form(body: bytes, content_type: str) -> list[FormField]:
    """Read ``multipart/form-data``; raises ``InvalidRequest``."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("The form's Content-Type has no boundary.")
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as exc:
        raise InvalidRequest("The body is not a valid multipart form.") from exc
    if not collector.is_complete:
        raise InvalidRequest("The multipart form is cut off.")
    return collector.fields


class _Collector:
    """Collects the fields that a multipart parser calls out."""

    def __init__(self) -> None:
        self.fields: list[FormField] = []
        self.is_complete = False
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._data = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._disposition = b""
        self._data = bytearray()

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        if len(self.fields) >= MOST_FIELDS:
            raise InvalidRequest(f"A form may have at most {MOST_FIELDS} fields.")
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename", b"").decode("utf-8", "replace")
        self.fields.append(FormField(name, filename, bytes(self._data)))

    def _complete(self) -> None:
        self.is_complete = True


_LISTS = frozenset({"timestamp_granularities", "include"})


def _read(fields: list[FormField]) -> TranscriptionRequest:
    values: dict[str, object] = {}
    for field in fields:
        _take(values, field)
    if not values.get("file"):
        raise InvalidRequest("Send the recording as the form's 'file'.", param="file")
    if values.pop("stream", "false") not in {"false", "False", ""}:
        raise InvalidRequest("'stream' is not offered: transcripts come whole.", param="stream")
    try:
        return msgspec.convert(values, TranscriptionRequest, strict=False)
    except msgspec.ValidationError as exc:
        raise explain(exc) from None


def _take(values: dict[str, object], field: FormField) -> None:
    name = field.name.removesuffix("[]")
    if name == "file":
        values["file"], values["filename"] = field.data, field.filename or "audio"
    elif name in _LISTS:
        values[name] = [*_listed(values.get(name)), _text(field)]
    elif name != "filename":
        values[name] = _text(field)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(field: FormField) -> str:
    try:
        return field.data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"'{field.name}' is not UTF-8 text.", param=field.name) from None
