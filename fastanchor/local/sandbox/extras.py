"""OpenAI's endpoints beside the conversations: embeddings, pictures, speech, transcriptions, moderations."""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesParser
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox import media, prose
from fastanchor.local.sandbox.conversation import BYTES_PER_TOKEN, BadRequest
from fastanchor.local.sandbox.dialect import Event, Frames, Http, decode
from fastanchor.local.sandbox.directives import Directive, read_directive, without_directives

_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"
_NO_JSON = "We could not parse the JSON body of your request."
_MOST_INPUTS = 2048
_MOST_SPOKEN = 4096
_DIMENSIONS = 1536
_AUDIO_TOKENS_PER_SECOND = 10
_IMAGE_TOKENS = {"low": 272, "medium": 1056, "high": 4160}
_SPOKEN_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"}
_CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extra:
    """A request that was read: what it orders and costs, and how its answer is made once the order is known."""

    model: str
    order: Directive
    input_tokens: int
    make: Callable[[], bytes]
    content_type: str = _JSON


def read_extra(http: Http, header: Directive | None) -> Extra:
    """Read a request to one of ``PATHS``; raises ``BadRequest``."""
    return _READERS[http.path](http, header)


def _embeddings(http: Http, header: Directive | None) -> Extra:
    body = _body(http, "model", "input")
    inputs = _inputs(body["input"])
    order = header or read_directive("\n".join(text for text in inputs if isinstance(text, str)))
    tokens = sum(len(one) if isinstance(one, list) else _tokens(one) for one in inputs)
    size = body.get("dimensions") or _DIMENSIONS
    is_packed = body.get("encoding_format") == "base64"

    def make() -> bytes:
        vectors = [_vector(body["model"], one, size) for one in inputs]
        return _json(
            {
                "object": "list",
                "data": [
                    {
                        "object": "embedding",
                        "index": number,
                        "embedding": _packed(vector) if is_packed else vector,
                    }
                    for number, vector in enumerate(vectors)
                ],
                "model": order.model or body["model"],
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    return Extra(body["model"], order, tokens, make)


def _inputs(given: Any) -> list[Any]:
    inputs = given if isinstance(given, list) else [given]
    if inputs and all(isinstance(one, int) for one in inputs):
        inputs = [inputs]
    if not inputs or len(inputs) > _MOST_INPUTS or any(not one for one in inputs):
        message = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        raise BadRequest(message, "input")
    return inputs


def _vector(model: str, text: Any, size: int) -> list[float]:
    source = prose.seeded("embedding", model, text)
    numbers = [source.uniform(-1, 1) for _ in range(size)]
    length = sum(number * number for number in numbers) ** 0.5
    return [number / length for number in numbers]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _images(http: Http, header: Directive | None) -> Extra:
    body = _body(http, "prompt")
    order = header or read_directive(str(body["prompt"]))
    tokens, count = _tokens(str(body["prompt"])), body.get("n") or 1
    quality = body.get("quality") if body.get("quality") in _IMAGE_TOKENS else "medium"
    output = _IMAGE_TOKENS[str(quality)] * count
    model = str(body.get("model") or "gpt-image-1")

    def make() -> bytes:
        source = prose.seeded("image", without_directives(str(body["prompt"])))
        pictures = [
            media.png(8, 8, (source.randrange(256), source.randrange(256), source.randrange(256)))
            for _ in range(count)
        ]
        return _json(
            {
                "created": int(time.time()),
                "data": [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures],
                "background": "opaque",
                "output_format": "png",
                "quality": quality,
                "size": body.get("size") if body.get("size") not in {None, "auto"} else "1024x1024",
                "usage": {
                    "input_tokens": tokens,
                    "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
                    "output_tokens": output,
                    "output_tokens_details": {"text_tokens": 0, "image_tokens": output},
                    "total_tokens": tokens + output,
                },
            }
        )

    return Extra(model, order, tokens, make)


def _speech(http: Http, header: Directive | None) -> Extra:
    body = _body(http, "model", "input", "voice")
    text, format_ = str(body["input"]), body.get("response_format") or "mp3"
    if len(text) > _MOST_SPOKEN:
        message = f"Invalid 'input': string too long. Expected a string with maximum length {_MOST_SPOKEN}."
        raise BadRequest(message, "input", kind="string_above_max_length")
    if format_ not in _SPOKEN_TYPES:
        message = f"The sandbox speaks {', '.join(_SPOKEN_TYPES)} only."
        raise BadRequest(message, "response_format")
    order = header or read_directive(text)
    is_events = body.get("stream_format") == "sse"

    def make() -> bytes:
        spoken = media.speech(without_directives(text), format_)
        if not is_events:
            return spoken
        tokens = _tokens(text)
        output = len(spoken) // 400 + 1
        usage = {"input_tokens": tokens, "output_tokens": output, "total_tokens": tokens + output}
        delta = {"type": "speech.audio.delta", "audio": base64.b64encode(spoken).decode()}
        return _stream(order, delta, {"type": "speech.audio.done", "usage": usage})

    return Extra(body["model"], order, _tokens(text), make, _EVENTS if is_events else _SPOKEN_TYPES[format_])


def _transcriptions(http: Http, header: Directive | None) -> Extra:
    fields = _multipart(http)
    for name in ("file", "model"):
        _demand(fields, name)
    model, prompt = fields["model"].decode(), fields.get("prompt", b"").decode("utf-8", "replace")
    format_ = fields.get("response_format", b"json").decode()
    order = header or read_directive(prompt)
    seconds = media.seconds_of(fields["file"])
    source = prose.seeded("transcription", fields["file"].hex())
    words = "".join(prose.write(source, about=["the recording"], tokens=12, is_exact=False))
    text = order.text if order.text is not None else words
    heard = int(seconds * _AUDIO_TOKENS_PER_SECOND) + 1
    usage = _heard_usage(model, heard, _tokens(prompt), _tokens(text), seconds)
    is_stream = fields.get("stream") in {b"true", b"True", b"1"}

    def make() -> bytes:
        if is_stream:
            deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in prose.tokenize(text)]
            return _stream(order, *deltas, {"type": "transcript.text.done", "text": text, "usage": usage})
        return _transcript(format_, text, seconds, usage)

    kind = _EVENTS if is_stream else _JSON if "json" in format_ else "text/plain; charset=utf-8"
    return Extra(model, order, heard, make, kind)


def _heard_usage(model: str, heard: int, prompted: int, written: int, seconds: float) -> dict[str, Any]:
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": max(1, round(seconds))}
    return {
        "type": "tokens",
        "input_tokens": heard + prompted,
        "input_token_details": {"audio_tokens": heard, "text_tokens": prompted},
        "output_tokens": written,
        "total_tokens": heard + prompted + written,
    }


def _transcript(format_: str, text: str, seconds: float, usage: dict[str, Any]) -> bytes:
    end = f"00:00:{seconds:06.3f}"
    match format_:
        case "text":
            return f"{text}\n".encode()
        case "srt":
            return f"1\n00:00:00,000 --> {end.replace('.', ',')}\n{text}\n\n".encode()
        case "vtt":
            return f"WEBVTT\n\n00:00:00.000 --> {end}\n{text}\n\n".encode()
        case "verbose_json":
            told = {
                "task": "transcribe",
                "language": "english",
                "duration": seconds,
                "segments": [],
                "words": [],
            }
            return _json({**told, "text": text, "usage": usage})
        case _:
            return _json({"text": text, "usage": usage})


def _moderations(http: Http, header: Directive | None) -> Extra:
    body = _body(http, "input")
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    is_mixed = any(isinstance(one, dict) for one in given)
    texts = [str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in given]
    order = header or read_directive("\n".join(texts))
    model = str(body.get("model") or "omni-moderation-latest")

    def make() -> bytes:
        judged = ["\n".join(texts)] if is_mixed else texts
        results = [_judged(text, is_flagged=order.filtered) for text in judged]
        return _json({"id": f"modr-{random_base62(24)}", "model": order.model or model, "results": results})

    return Extra(model, order, sum(map(_tokens, texts)), make)


def _judged(text: str, *, is_flagged: bool) -> dict[str, Any]:
    is_flagged = is_flagged or "kill" in text.lower()
    flags = {name: is_flagged and name == "violence" for name in _CATEGORIES}
    return {
        "flagged": is_flagged,
        "categories": flags,
        "category_scores": {name: 0.9 if flag else 0.001 for name, flag in flags.items()},
        "category_applied_input_types": {name: ["text"] for name in flags},
    }


_READERS: dict[str, Callable[[Http, Directive | None], Extra]] = {
    "/v1/embeddings": _embeddings,
    "/qwen/v1/embeddings": _embeddings,
    "/v1/images/generations": _images,
    "/v1/audio/speech": _speech,
    "/v1/audio/transcriptions": _transcriptions,
    "/v1/moderations": _moderations,
}
PATHS = frozenset(_READERS)


def _body(http: Http, *needed: str) -> dict[str, Any]:
    body = decode(http.body, _NO_JSON)
    for name in needed:
        _demand(body, name)
    return body


def _demand(fields: dict[str, Any], name: str) -> None:
    if not fields.get(name):
        message = f"Missing required parameter: '{name}'."
        raise BadRequest(message, name, kind="missing_required_parameter")


def _multipart(http: Http) -> dict[str, bytes]:
    head = f"content-type: {http.headers.get('content-type', '')}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + http.body)
    fields: dict[str, bytes] = {}
    for part in message.get_payload() if message.is_multipart() else []:
        name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        content = part.get_payload(decode=True)  # type: ignore[union-attr]
        fields[str(name)] = content if isinstance(content, bytes) else b""
    return fields


def _stream(order: Directive, *payloads: dict[str, Any]) -> bytes:
    frames = Frames(order)
    events = [Event(payload, str(payload["type"])) for payload in payloads]
    return b"".join(map(frames.event, events))


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
