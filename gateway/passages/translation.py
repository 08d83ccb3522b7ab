"""The passage between any client format and any upstream protocol: through the internal form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.events import (
    Began,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Reported,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Thinking, ToolCall
from gateway.formats.base import TextFormat, Writer
from gateway.keepsakes import Keeper, Need, Remembering, keepsake_of
from gateway.metering import TextMeter
from gateway.passages.base import Answer, MeteredStream, RememberingStream
from gateway.upstreams.base import Adapter, BadAnswer, CannotExpress, Prepared, Reader, Splitter
from gateway.upstreams.tools import SEARCH, CustomCalls


class Translation(Remembering):
    """One client format in front of one upstream protocol."""

    def __init__(self, format_: TextFormat, adapter: Adapter) -> None:
        self._format = format_
        self._adapter = adapter

    def need(self, attempt: Attempt) -> Need:
        """See ``Remembering.need``."""
        if not attempt.asked.prompt.has_tools or "reasoning" not in attempt.model.capabilities:
            return ""
        return self._adapter.need(attempt) if isinstance(self._adapter, Remembering) else "seal"

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        if attempt.form.beyond is not None:
            raise CannotExpress(*attempt.form.beyond)
        prepared = self._adapter.prepare(attempt.form, attempt)
        if attempt.asked.prompt.has_search and f"tools.{SEARCH}" in prepared.dropped:
            raise CannotExpress(SEARCH, "This model's provider cannot search the web for such a request.")
        unsaid = attempt.form.unsaid
        if unsaid:
            return msgspec.structs.replace(prepared, dropped=(*prepared.dropped, *unsaid))
        return prepared

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        form = attempt.form
        result = CustomCalls(form).result(self._adapter.answer(body, form))
        if not result.choices:
            raise BadAnswer("no choices")
        meter = TextMeter()
        _count_result(meter, result)
        usage = result.usage
        shown = usage or Usage(attempt.asked.prompt.text_bytes // 4 + 1, 0, 0, meter.tokens, 0)
        return Answer(
            body=self._format.render(result, shown, attempt),
            usage=usage,
            text_tokens=meter.tokens,
            has_output=meter.has_output,
            finish_reason=result.choices[0].reason,
            upstream_id=result.upstream_id,
            keepsake=keepsake_of(result) if self.need(attempt) else [],
        )

    def stream(self, attempt: Attempt) -> TranslatedStream:
        """See ``Passage.stream``."""
        form = attempt.form
        stream = TranslatedStream(
            self._adapter.reader(form), self._format.writer(attempt), attempt.asked.choices, CustomCalls(form)
        )
        if self.need(attempt):
            stream.keeper = Keeper()
        return stream

    def splitter(self) -> Splitter:
        """See ``Passage.splitter``."""
        return self._adapter.splitter()

    def blames_our_account(self, body: bytes) -> bool:
        """See ``Passage.blames_our_account``."""
        return self._adapter.blames_our_account(body)

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """See ``Passage.complaint``."""
        return self._adapter.complaint(body, channel)


# What counts as output. A seal or a search stands for output that is not shown.
_SAYS: dict[type, Callable[[Any], str]] = {
    TextDelta: lambda event: event.text,
    RefusalDelta: lambda event: event.text,
    ThinkingDelta: lambda event: event.text,
    ThinkingSealed: lambda event: "",
    Searched: lambda event: "",
    ToolBegan: lambda event: event.name,
    ToolDelta: lambda event: event.arguments,
}


class TranslatedStream(MeteredStream, RememberingStream):
    """A stream on its way from a reader to a writer, metered in between."""

    def __init__(self, reader: Reader, writer: Writer, choices: int, customs: CustomCalls) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._customs = customs
        self._unfinished = set(range(choices))
        self._last_reason = ""

    def feed(self, event: bytes) -> bytes:
        """Translate the data of one event; see ``StreamTranslator.feed``."""
        events = self._reader.feed(event)
        for each in events:
            self._note(each)
        if self.keeper is not None:
            self.keeper.take(events)
        return self._writer.write(self._customs.events(events)) if events else b""

    def _note(self, event: Event) -> None:
        kind = type(event)
        if kind in _SAYS:
            self._meter.count(_SAYS[kind](event))
        elif isinstance(event, Reported):
            self.usage = event.usage
        elif isinstance(event, Finished):
            self._finish(event)
        elif isinstance(event, Began):
            self.upstream_id = self.upstream_id or event.upstream_id
        elif isinstance(event, Done):
            self.is_done = True
            # Some servers give one answer, however many are asked for.
            self.finish_reason = self.finish_reason or self._last_reason

    def _finish(self, event: Finished) -> None:
        self._unfinished.discard(event.choice)
        self._last_reason = event.reason
        if not self._unfinished:
            self.finish_reason = event.reason

    def closing(self, usage: Usage) -> bytes:
        """End a finished stream; see ``StreamTranslator.closing``."""
        return self._writer.closing(usage)

    def cut(self, usage: Usage) -> bytes:
        """End a stream that must stop here."""
        return self._writer.cut(usage)

    def failure(self, error: GatewayError) -> bytes:
        """Tell that the stream broke."""
        return self._writer.failure(error)


def _count_result(meter: TextMeter, result: Result) -> None:
    for choice in result.choices:
        for part in choice.parts:
            if isinstance(part, ToolCall):
                meter.count(part.name + part.arguments)
            elif isinstance(part, Searched):
                meter.count("")
            elif part.text or isinstance(part, Thinking):
                meter.count(part.text)
