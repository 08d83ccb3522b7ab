"""Passages on which request and answer stay as they are, but for names, secrets and what is billed.

Embeddings, moderations and pictures are JSON both ways. Speech answers with sound, transcriptions ask with a form; the
modules ``speech`` and ``transcriptions`` beside this one read what those bill.
"""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel
from gateway.asked import NO_UNITS, Attempt
from gateway.formats.images import ImagesRequest, fair_tokens
from gateway.formats.passed_on import PassedOn
from gateway.passages.base import Answer, StreamTranslator
from gateway.upstreams import openai_wire
from gateway.upstreams.base import NONSENSE, BadAnswer, Prepared, Splitter
from gateway.upstreams.reports import sane
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()


class _InputDetails(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Embeddings count ``prompt_tokens``, pictures ``input_tokens`` and ``output_tokens``."""

    prompt_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _InputDetails | None = None


class PassThrough(openai_wire.OpenAiErrors):
    """A JSON body to ``target`` and its JSON answer, which must have the list ``content``."""

    def __init__(self, target: str, content: str) -> None:
        self._target = target
        self._content = content

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        assert isinstance(attempt.asked, PassedOn)
        body = msgspec.structs.replace(attempt.asked.body, model=attempt.route.upstream_model)
        return Prepared(self._target, json_headers(attempt.route.channel), _ENCODER.encode(body))

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        try:
            raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            content = msgspec.json.decode(raw[self._content], type=list[msgspec.Raw])
            usage = msgspec.json.decode(raw["usage"], type=_Usage | None) if "usage" in raw else None
        except (*NONSENSE, KeyError) as exc:
            raise BadAnswer("not an answer of this path") from exc
        if not content or "error" in raw:
            raise BadAnswer("an error with status 200")
        if "model" in raw:
            raw["model"] = msgspec.Raw(_ENCODER.encode(attempt.model.id))
        return Answer(
            body=_ENCODER.encode(raw),
            usage=self.usage(usage, len(content), attempt),
            text_tokens=self.fair_tokens(len(content), attempt),
            has_output=True,
            finish_reason="stop",
            upstream_id="",
            again=lambda billed: _ENCODER.encode(
                raw | {"usage": msgspec.Raw(_ENCODER.encode(self.shown(billed)))}
            ),
        )

    def usage(self, reported: _Usage | None, count: int, attempt: Attempt) -> Usage | None:
        """Return what is billed for an answer of ``count`` parts."""
        if reported is None:
            return None
        return sane(
            Usage(max(reported.prompt_tokens, reported.input_tokens), 0, 0, reported.output_tokens, 0)
        )

    def shown(self, billed: Usage) -> dict[str, Any]:
        """Return what an answer tells of a usage that its upstream did not report so."""
        return {"prompt_tokens": billed.input_tokens, "total_tokens": billed.input_tokens}

    def fair_tokens(self, count: int, attempt: Attempt) -> int:
        """Return the output tokens that are billed for an answer of ``count`` parts without a report."""
        return 0

    def stream(self, attempt: Attempt) -> StreamTranslator:
        """Never called: none of these paths streams."""
        raise NotImplementedError

    def splitter(self) -> Splitter:
        """See ``Passage.splitter``."""
        return EventSplitter()


class FreePassThrough(PassThrough):
    """A path that costs nothing, whatever is reported."""

    def usage(self, reported: Any, count: int, attempt: Attempt) -> Usage | None:
        """See ``PassThrough.usage``."""
        return NO_UNITS


class PicturePassThrough(PassThrough):
    """Pictures: billed by tokens where the upstream counts them, else by the picture."""

    def usage(self, reported: _Usage | None, count: int, attempt: Attempt) -> Usage | None:
        """See ``PassThrough.usage``."""
        if reported is None or not (reported.input_tokens or reported.output_tokens):
            is_by_picture = attempt.rates.image is not None
            return msgspec.structs.replace(NO_UNITS, images=count) if is_by_picture else None
        details = reported.input_tokens_details or _InputDetails()
        return sane(
            Usage(
                reported.input_tokens,
                details.cached_tokens or 0,
                0,
                reported.output_tokens,
                0,
                image_input_tokens=details.image_tokens or 0,
                images=count,
            )
        )

    def shown(self, billed: Usage) -> dict[str, Any]:
        """See ``PassThrough.shown``."""
        pictures = billed.image_input_tokens
        return {
            "input_tokens": billed.input_tokens,
            "input_tokens_details": {"text_tokens": billed.input_tokens - pictures, "image_tokens": pictures},
            "output_tokens": billed.output_tokens,
            "total_tokens": billed.input_tokens + billed.output_tokens,
        }

    def fair_tokens(self, count: int, attempt: Attempt) -> int:
        """See ``PassThrough.fair_tokens``."""
        assert isinstance(attempt.asked, PassedOn)
        assert isinstance(attempt.asked.body, ImagesRequest)
        return count * fair_tokens(attempt.asked.body)


def json_headers(channel: Channel) -> tuple[tuple[str, str], ...]:
    """Return the headers of a JSON request to a channel."""
    return (("content-type", "application/json"), *key_headers(channel))


def key_headers(channel: Channel) -> tuple[tuple[str, str], ...]:
    """Return the header that carries a channel's credential; Azure's has a name of its own."""
    if not channel.api_key:
        return ()
    if channel.adapter == "azure":
        return (("api-key", channel.api_key),)
    return (("authorization", f"Bearer {channel.api_key}"),)
