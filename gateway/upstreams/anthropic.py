"""Anthropic's Messages as an upstream."""

from __future__ import annotations

import msgspec

from gateway.asked import Attempt
from gateway.events import Result
from gateway.form import Form
from gateway.upstreams.anthropic_answer import AnthropicReader, read_answer
from gateway.upstreams.anthropic_names import Names
from gateway.upstreams.anthropic_request import body_of
from gateway.upstreams.anthropic_wire import MAX_EVENT_BYTES, TARGET, request_headers
from gateway.upstreams.base import Prepared, Splitter
from gateway.upstreams.openai_wire import OpenAiErrors
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()


class Anthropic(OpenAiErrors):
    """The adapter of Anthropic's own API and of those who speak the same."""

    def prepare(self, form: Form, attempt: Attempt) -> Prepared:
        """See ``Adapter.prepare``."""
        body, dropped = body_of(form, attempt)
        headers = request_headers(
            attempt.route.channel, attempt.headers, attempt.model, is_stream=form.is_stream, is_native=False
        )
        return Prepared(TARGET, headers, _ENCODER.encode(body), dropped)

    def answer(self, body: bytes, form: Form) -> Result:
        """See ``Adapter.answer``."""
        return read_answer(body, Names(form))

    def reader(self, form: Form) -> AnthropicReader:
        """See ``Adapter.reader``."""
        return AnthropicReader(Names(form))

    def splitter(self) -> Splitter:
        """See ``Adapter.splitter``."""
        return EventSplitter(MAX_EVENT_BYTES)
