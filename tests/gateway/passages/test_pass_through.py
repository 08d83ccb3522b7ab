"""What is passed on keeps its meaning, loses our names and secrets, and is billed by what its upstream counted."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Callable
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse, ImagesResponse, ModerationCreateResponse
from openai.types.audio import TranscriptionVerbose

from catalog.pricing import Usage
from catalog.snapshot import Price, Rates, Tier
from gateway.asked import Asked, Attempt
from gateway.errors import InvalidRequest
from gateway.formats.base import Format
from gateway.formats.embeddings import Embeddings
from gateway.formats.images import MOST_TOKENS_PER_IMAGE, Images
from gateway.formats.moderations import Moderations
from gateway.formats.recordings import seconds_of
from gateway.formats.speech import Speech
from gateway.formats.transcriptions import Transcriptions
from gateway.passages.base import Passage
from gateway.passages.table import passage_for
from gateway.upstreams.base import BadAnswer, CannotExpress
from tests.gateway.attempts import ask, attempt, channel, model

BY_UNIT = Rates(input=0, cached_input=0, cache_write=0, output=0, character=15, second=100, image=40)
BY_TOKEN = Rates(input=600, cached_input=600, cache_write=600, output=12_000)


def at(rates: Rates) -> tuple[Price, ...]:
    return (Price("price_1", 0, (Tier(0, rates),)),)


def way(format_: Format, asked: Asked, rates: Rates = BY_TOKEN) -> tuple[Passage, Attempt]:
    # What it will cost later tells nothing of today.
    later = BY_TOKEN if rates is BY_UNIT else BY_UNIT
    prices = (Price("price_2", 9_999_999_999_000, (Tier(0, later),)), *at(rates))
    ours = model("ours", prices=prices)
    one = attempt(asked, channel=channel("openai"), model=ours, price=ours.price_at(1_000))
    return passage_for(format_, one.route, one.model), one


def form(fields: dict[str, Any], file: bytes = b"sound", filename: str = "talk.mp3") -> Asked:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + file + b"\r\n--b--\r\n"
    return Transcriptions().parse(body, {"content-type": "multipart/form-data; boundary=b"})


def wav(seconds: int, rate: int = 8_000) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\0\0" * rate * seconds)
    return written.getvalue()


@pytest.mark.parametrize("given", ["hi", ["hi", "ho"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_go_out_as_asked_and_come_back_under_our_name(given: Any) -> None:
    passage, one = way(Embeddings(), ask(Embeddings(), {"model": "ours", "input": given, "dimensions": 2}))
    prepared = passage.prepare(one)
    upstream = {
        "object": "list",
        "model": "upstream/name",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.25]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }

    answer = passage.answer(json.dumps(upstream).encode(), one)

    assert prepared.target == "/embeddings"
    assert json.loads(prepared.body) == {"model": "upstream/name", "input": given, "dimensions": 2}
    assert dict(prepared.headers)["authorization"] == "Bearer sk-secret-of-ours-123456"
    assert CreateEmbeddingResponse.model_validate_json(answer.body, strict=True).model == "ours"
    assert json.loads(answer.body)["data"] == upstream["data"]
    assert answer.usage == Usage(5, 0, 0, 0, 0)
    assert json.loads(answer.telling(answer.usage))["usage"] == upstream["usage"]
    billed = CreateEmbeddingResponse.model_validate_json(answer.telling(Usage(3, 0, 0, 0, 0)), strict=True)
    assert (billed.usage.prompt_tokens, billed.usage.total_tokens) == (3, 3)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": ""}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": [""]}, "input["),
        ({"model": "m", "input": [1, "a"]}, "input["),
        ({"model": "m", "input": [[]]}, "input["),
        ({"model": "m", "input": [-1]}, "input"),
        ({"model": "m", "input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"model": "m", "input": "x", "tenant": 1}, "tenant"),
    ],
)
def test_a_wrong_body_of_embeddings_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(Embeddings(), body)

    assert (caught.value.param or "").startswith(param)


@pytest.mark.parametrize("blank", [b"\t", b"\r\n", b" " * 100])
@pytest.mark.parametrize("tokens", [b"1,2]", b"[1],[2]]"])
def test_tokens_are_known_however_their_list_is_written(blank: bytes, tokens: bytes) -> None:
    body = b'{"model":"m","input":%b[%b%b}' % (blank, blank, tokens)

    assert Embeddings().parse(body, {}).prompt.text_bytes > 0


def test_a_moderation_is_free_and_has_a_usual_model() -> None:
    asked = ask(Moderations(), {"input": ["a", "b"]})
    passage, one = way(Moderations(), asked)
    scores = {"hate": 0.1}
    result = {
        "flagged": False,
        "categories": {},
        "category_scores": scores,
        "category_applied_input_types": {},
    }

    answer = passage.answer(
        json.dumps({"id": "modr-1", "model": "omni", "results": [result, result]}).encode(), one
    )

    assert asked.model == "omni-moderation-latest"
    assert answer.usage == Usage(0, 0, 0, 0, 0)
    assert ModerationCreateResponse.model_construct(**json.loads(answer.body)).model == "ours"


def test_pictures_hold_for_each_and_are_billed_by_what_was_counted() -> None:
    asked = ask(Images(), {"model": "ours", "prompt": "a cat", "n": 2, "size": "1024x1024"})
    passage, one = way(Images(), asked)
    counted = {
        "input_tokens": 20, "output_tokens": 2_112, "total_tokens": 2_132,
        "input_tokens_details": {"text_tokens": 12, "image_tokens": 8},
    }  # fmt: skip
    upstream = {"created": 1, "data": [{"b64_json": "aGk="}] * 2, "usage": counted}

    answer = passage.answer(json.dumps(upstream).encode(), one)

    assert (asked.choices, asked.explicit_max, asked.most_units.images) == (2, MOST_TOKENS_PER_IMAGE, 2)
    assert json.loads(passage.prepare(one).body)["n"] == 2
    assert answer.usage == Usage(20, 0, 0, 2_112, 0, image_input_tokens=8, images=2)
    assert len(ImagesResponse.model_validate_json(answer.body).data or ()) == 2
    assert json.loads(answer.telling(answer.usage))["usage"] == counted
    billed = ImagesResponse.model_validate_json(answer.telling(Usage(9, 0, 0, 50, 0, image_input_tokens=4)))
    assert billed.usage is not None
    assert (billed.usage.input_tokens, billed.usage.output_tokens, billed.usage.total_tokens) == (9, 50, 59)
    assert billed.usage.input_tokens_details.image_tokens == 4


@pytest.mark.parametrize("usage", [None, {}])
@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 2_112),
        ({"quality": "low"}, 544),
        ({"quality": "high", "size": "1536x1024"}, 12_480),
        ({"quality": "high", "size": "99999x99999"}, 2 * 4_160 * 99_999 * 99_999 // 2**20),
    ],
)
def test_pictures_that_were_not_counted_are_billed_by_the_unit_of_their_price(
    fields: dict[str, Any], tokens: int, usage: Any
) -> None:
    asked = ask(Images(), {"model": "ours", "prompt": "a cat", "n": 2, **fields})
    upstream = json.dumps({"created": 1, "data": [{"b64_json": "aGk="}] * 2, "usage": usage}).encode()

    (by_token, one), (by_unit, other) = way(Images(), asked), way(Images(), asked, BY_UNIT)

    estimated, counted = by_token.answer(upstream, one), by_unit.answer(upstream, other)
    assert estimated.usage is None
    assert abs(estimated.text_tokens - tokens) <= 2
    assert asked.explicit_max is not None
    assert estimated.text_tokens <= 2 * asked.explicit_max
    assert counted.usage == Usage(0, 0, 0, 0, 0, images=2)


@pytest.mark.parametrize("field", [{"stream": True}, {"partial_images": 2}, {"n": 11}, {"size": "big"}])
def test_pictures_that_are_not_offered_are_refused_by_name(field: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(Images(), {"model": "m", "prompt": "x", **field})

    assert caught.value.param == next(iter(field))


def test_speech_by_the_character_is_billed_by_what_was_asked() -> None:
    said = {"model": "ours", "input": "Grüß Gott", "voice": "alloy", "response_format": "wav"}
    asked = ask(Speech(), said)
    passage, one = way(Speech(), asked, BY_UNIT)

    answer = passage.answer(b"RIFFsound", one)

    assert "stream_format" not in json.loads(passage.prepare(one).body)
    assert (answer.body, answer.content_type) == (b"RIFFsound", "audio/wav")
    assert answer.usage == Usage(0, 0, 0, 0, 0, characters=9)
    assert asked.most_units.characters == 9


def speech_events(*sound: bytes, usage: dict[str, int] | None) -> bytes:
    events: list[dict[str, Any]] = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(each).decode()} for each in sound
    ]
    if usage:
        events.append({"type": "speech.audio.done", "usage": usage})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def test_speech_by_the_token_is_asked_for_as_events_and_given_as_sound() -> None:
    passage, one = way(Speech(), ask(Speech(), {"model": "ours", "input": "hello", "voice": {"id": "v"}}))
    counted = {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43}

    answer = passage.answer(speech_events(b"ID3a", b"b", usage=counted), one)

    assert json.loads(passage.prepare(one).body)["stream_format"] == "sse"
    assert (answer.body, answer.content_type) == (b"ID3ab", "audio/mpeg")
    assert answer.usage == Usage(3, 0, 0, 40, 0, audio_output_tokens=40)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b"data: {}\n\n",
        b"data: nonsense\n\n",
        b'data: {"audio":"?"}\n\n',
        b'data: {"x":%b}\n\n' % (b"[" * 99_999 + b"]" * 99_999),
    ],
    ids=["nothing", "an object", "a page", "no event", "nonsense", "no base64", "deep"],
)
def test_what_is_no_speech_is_not_sold(body: bytes) -> None:
    passage, one = way(Speech(), ask(Speech(), {"model": "ours", "input": "hello", "voice": "alloy"}))

    with pytest.raises(BadAnswer):
        passage.answer(body, one)


def test_speech_that_breaks_off_is_not_sold() -> None:
    passage, one = way(Speech(), ask(Speech(), {"model": "ours", "input": "hello", "voice": "alloy"}))

    with pytest.raises(BadAnswer):
        passage.answer(speech_events(b"half", usage=None), one)


DETAILS = {
    "seek": 0, "tokens": [1], "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0,
}  # fmt: skip
SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 1.5, "text": " Hello", **DETAILS},
    {"id": 1, "start": 3661.0, "end": 3662.25, "text": " there", **DETAILS},
]
VERBOSE = {"text": "Hello there", "duration": 61.2, "language": "english", "segments": SEGMENTS}


@pytest.mark.parametrize(
    ("kind", "is_right", "content_type"),
    [
        ("json", lambda body: json.loads(body)["text"] == "Hello there", "application/json"),
        ("text", lambda body: body == b"Hello there\n", "text/plain; charset=utf-8"),
        (
            "verbose_json",
            lambda body: len(TranscriptionVerbose.model_validate_json(body).segments or ()) == 2,
            "application/json",
        ),
        (
            "srt",
            lambda body: (
                body == b"1\n00:00:00,000 --> 00:00:01,500\nHello\n\n"
                b"2\n01:01:01,000 --> 01:01:02,250\nthere\n\n"
            ),
            "text/plain; charset=utf-8",
        ),
        (
            "vtt",
            lambda body: body.startswith(b"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello\n\n"),
            "text/vtt; charset=utf-8",
        ),
    ],
)
def test_a_transcript_comes_in_the_kind_that_was_asked_for(
    kind: str, is_right: Callable[[bytes], bool], content_type: str
) -> None:
    asked = form({"model": "ours", "response_format": kind, "timestamp_granularities[]": "segment"})
    passage, one = way(Transcriptions(), asked, BY_UNIT)
    sent = passage.prepare(one)

    body = (
        VERBOSE if kind != "json" else {"text": "Hello there", "usage": {"type": "duration", "seconds": 61.2}}
    )
    answer = passage.answer(json.dumps(body).encode(), one)

    wanted = b"json" if kind in {"json", "text"} else b"verbose_json"
    assert b'name="response_format"\r\n\r\n' + wanted + b"\r\n" in sent.body
    assert b'filename="audio.mp3"' in sent.body
    assert sent.body.count(b"sound") == 1
    assert is_right(answer.body)
    assert answer.content_type == content_type
    assert answer.usage == Usage(0, 0, 0, 0, 0, seconds=62)


def test_a_transcript_by_the_token_counts_what_was_heard() -> None:
    passage, one = way(Transcriptions(), form({"model": "ours"}))
    counted = {
        "type": "tokens", "input_tokens": 30, "output_tokens": 7, "total_tokens": 37,
        "input_token_details": {"text_tokens": 10, "audio_tokens": 20},
    }  # fmt: skip

    answer = passage.answer(json.dumps({"text": "hi", "usage": counted}).encode(), one)

    assert answer.usage == Usage(30, 0, 0, 7, 0, audio_input_tokens=20)
    with pytest.raises(CannotExpress):
        passage.prepare(way(Transcriptions(), form({"model": "ours", "response_format": "srt"}))[1])


def test_a_recording_without_a_report_is_billed_by_its_length() -> None:
    asked = form({"model": "ours"}, wav(3), "talk.wav")
    passage, one = way(Transcriptions(), asked, BY_UNIT)

    answer = passage.answer(b'{"text":"hi"}', one)

    assert answer.usage == asked.most_units
    assert asked.most_units.seconds == 4


def test_a_lying_header_does_not_make_a_recording_shorter() -> None:
    long = wav(10)
    # The header says that there are no frames at all.
    lying = long[:40] + b"\0\0\0\0" + long[44:]

    assert seconds_of(lying) >= 10
    assert seconds_of(wav(1, rate=8)) < 60


@pytest.mark.parametrize(
    "fields",
    [{}, {"model": "m", "temperature": "hot"}, {"model": "m", "response_format": "docx"}, {"model": "m", "x": "1"},
     {"model": "m", "stream": "true"}],
)  # fmt: skip
def test_a_wrong_form_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        form(fields)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=b"),
        (b"--b\r\n", "multipart/form-data; boundary=b"),
        (b"nonsense", "multipart/form-data; boundary=b"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ],
)
def test_a_broken_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidRequest):
        Transcriptions().parse(body, {"content-type": kind})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":{}}', b'{"error":{},"data":[1]}', b"\xff"]
)
def test_nonsense_is_no_answer(body: bytes) -> None:
    passage, one = way(Embeddings(), ask(Embeddings(), {"model": "ours", "input": "x"}))

    with pytest.raises(BadAnswer):
        passage.answer(body, one)
