"""The Gemini protocol: ``generateContent`` and its stream, as Google AI Studio and Vertex AI speak it."""

from __future__ import annotations

from urllib.parse import quote

from catalog.snapshot import Channel
from gateway.asked import Attempt
from gateway.events import Result
from gateway.form import Form
from gateway.upstreams import gemini_errors
from gateway.upstreams.base import Prepared, Reader, Splitter
from gateway.upstreams.gemini_answer import GeminiReader, whole_answer
from gateway.upstreams.gemini_request import write
from gateway.upstreams.gemini_seals import Service
from gateway.upstreams.sse import EventSplitter


class Gemini:
    """The adapter to Google AI Studio; see ``Adapter``."""

    # What stands before a model's name in a target, and which of Google's two services it is.
    models = "/models"
    service: Service = "gemini"

    def prepare(self, form: Form, attempt: Attempt) -> Prepared:
        """See ``Adapter.prepare``."""
        body, dropped = write(form, attempt, self.service)
        name = quote(attempt.route.upstream_model.removeprefix("models/"), safe="")
        method = "streamGenerateContent?alt=sse" if form.is_stream else "generateContent"
        headers = [("content-type", "application/json"), *self.credential(attempt.route.channel)]
        if form.is_stream:
            headers.append(("accept", "text/event-stream"))
        return Prepared(f"{self.models}/{name}:{method}", tuple(headers), body, dropped)

    def credential(self, channel: Channel) -> list[tuple[str, str]]:
        """Return the headers that open the service; never in the address, which ends up in logs."""
        return [("x-goog-api-key", channel.api_key)] if channel.api_key else []

    def answer(self, body: bytes, form: Form) -> Result:
        """See ``Adapter.answer``."""
        return whole_answer(body, form, self.service)

    def reader(self, form: Form) -> Reader:
        """See ``Adapter.reader``."""
        return GeminiReader(form, self.service)

    def splitter(self) -> Splitter:
        """See ``Adapter.splitter``."""
        return EventSplitter()

    def blames_our_account(self, body: bytes) -> bool:
        """See ``Adapter.blames_our_account``."""
        return gemini_errors.blames_our_account(body)

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """See ``Adapter.complaint``."""
        return gemini_errors.complaint(body, channel)
