"""OpenAI's endpoints beside the conversations, asked by OpenAI's own client."""

from __future__ import annotations

import base64
import io
import math
import wave
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import CreateEmbeddingResponse, ImagesResponse, ModerationCreateResponse

from tests.live.sandbox import LiveSandbox


def test_embeddings_are_vectors_of_the_wanted_size(client: OpenAI) -> None:
    reply = client.embeddings.create(model="e", input=["ledgers", "anchors"], dimensions=8)
    again = client.embeddings.create(model="e", input="ledgers", dimensions=8, encoding_format="float")
    tokens = client.embeddings.create(model="e", input=[[1, 2, 3]])

    CreateEmbeddingResponse.model_validate(reply.model_dump())
    first, second = (each.embedding for each in reply.data)
    assert first == pytest.approx(again.data[0].embedding, abs=1e-6)
    assert first != second
    assert math.isclose(sum(number * number for number in first), 1, abs_tol=1e-5)
    assert reply.usage.prompt_tokens == 4
    assert (len(tokens.data[0].embedding), tokens.usage.prompt_tokens) == (1536, 3)
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="e", input=[""])


def test_pictures_are_real_ones(client: OpenAI) -> None:
    reply = client.images.generate(model="gpt-image-1", prompt="A ledger.", n=2, quality="low")

    ImagesResponse.model_validate(reply.model_dump())
    assert reply.data is not None
    pictures = [base64.b64decode(picture.b64_json or "") for picture in reply.data]
    assert all(picture.startswith(b"\x89PNG\r\n\x1a\n") for picture in pictures)
    assert len(set(pictures)) == 2
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 544)


def test_speech_is_as_long_as_its_text(client: OpenAI) -> None:
    def spoken(text: str, format_: Any) -> bytes:
        return client.audio.speech.create(
            model="s", input=text, voice="alloy", response_format=format_
        ).read()

    with wave.open(io.BytesIO(spoken("x" * 50, "wav"))) as recording:
        assert recording.getnframes() / recording.getframerate() == pytest.approx(3, abs=0.1)
    assert spoken("hello", "mp3").startswith(b"\xff\xfb")
    assert len(spoken("hello", "pcm")) % 2 == 0
    with pytest.raises(openai.BadRequestError):
        spoken("x" * 5000, "mp3")


def test_a_recording_is_written_down_and_counted(client: OpenAI, sandbox: LiveSandbox) -> None:
    recording = client.audio.speech.create(model="s", input="x" * 50, voice="a", response_format="wav").read()
    order = "[[sandbox nonce=n1 text='one two']]"
    file = ("speech.wav", recording)

    tokens = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, prompt=order)
    seconds = client.audio.transcriptions.create(model="whisper-1", file=file)
    subtitles = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt")
    events = list(
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, prompt=order, stream=True)
    )

    assert tokens.text == "one two"
    assert tokens.usage is not None
    assert tokens.usage.type == "tokens"
    assert tokens.usage.input_token_details is not None
    assert tokens.usage.input_token_details.audio_tokens == 31
    assert seconds.usage is not None
    assert (seconds.usage.type, seconds.usage.seconds) == ("duration", 3)  # type: ignore[union-attr]
    assert "-->" in str(subtitles)
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "RIFF" in sandbox.log("n1")[0]["body"]


def test_moderation_flags_what_it_is_told_to(client: OpenAI) -> None:
    fine, bad = client.moderations.create(input=["ledgers", "I kill time"]).results
    reply = client.moderations.create(input=[{"type": "text", "text": "[[sandbox filtered]]"}])  # type: ignore[arg-type]

    ModerationCreateResponse.model_validate(reply.model_dump(by_alias=True))
    assert (fine.flagged, bad.flagged, bad.categories.violence) == (False, True, True)
    assert reply.results[0].flagged


@pytest.mark.parametrize("path", ["embeddings", "images/generations", "audio/speech", "moderations"])
def test_faults_can_be_ordered_here_too(sandbox: LiveSandbox, path: str) -> None:
    fields = {"model": "m", "input": "x", "prompt": "x", "voice": "a"}

    def status(order: str) -> int:
        return int(sandbox.http.post(f"/v1/{path}", json=fields, headers={"x-sandbox": order}).status_code)

    assert status("error=503") == 503
    assert status("nonce=n1") == 200
    (entry,) = sandbox.log("n1")
    assert (entry["path"], entry["outcome"], entry["body"]) == (f"/v1/{path}", "finished", fields)
    assert sandbox.http.post(f"/v1/{path}", json={}).status_code == 400
