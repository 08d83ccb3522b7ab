"""OpenAI's Responses protocol as an upstream, of OpenAI itself and of those who speak it after.

Nothing is kept upstream: ``store`` is always false, and reasoning comes back sealed so that it can be sent again.
"""

from __future__ import annotations

import msgspec

from gateway.asked import Attempt
from gateway.events import Result
from gateway.form import Form
from gateway.keepsakes import Need, Remembering
from gateway.upstreams import openai_wire
from gateway.upstreams.base import Prepared, Splitter
from gateway.upstreams.openai_responses_reader import ResponsesReader, read_answer
from gateway.upstreams.openai_responses_request import Request
from gateway.upstreams.openai_responses_wire import TARGET
from gateway.upstreams.sse import EventSplitter
from gateway.upstreams.wire_names import OwnNames

_ENCODER = msgspec.json.Encoder()


class OpenAIResponses(Remembering, openai_wire.OpenAiErrors):
    """The adapter of the Responses protocol."""

    def need(self, attempt: Attempt) -> Need:
        """See ``Remembering.need``: the model thinks on from where it was before it called tools."""
        return "seal" if "reasoning" in attempt.model.capabilities else ""

    def prepare(self, form: Form, attempt: Attempt) -> Prepared:
        """See ``Adapter.prepare``."""
        request = Request(form, attempt)
        return Prepared(
            target=TARGET,
            headers=openai_wire.headers(attempt.route.channel, is_stream=form.is_stream),
            body=_ENCODER.encode(request.body),
            dropped=tuple(dict.fromkeys(request.dropped)),
        )

    def answer(self, body: bytes, form: Form) -> Result:
        """See ``Adapter.answer``."""
        return read_answer(body, OwnNames(form.tools))

    def reader(self, form: Form) -> ResponsesReader:
        """See ``Adapter.reader``."""
        return ResponsesReader(OwnNames(form.tools))

    def splitter(self) -> Splitter:
        """See ``Adapter.splitter``."""
        return EventSplitter()
