"""A stream that is cut anywhere never ends like a whole one, never crashes, and what was delivered is still counted."""

from __future__ import annotations

import copy

import msgspec
import pytest

from gateway.errors import UpstreamError
from gateway.upstreams.base import BadAnswer
from tests.golden.facts import STREAM
from tests.golden.recordings import Recording, params, recordings
from tests.golden.replay import FORMATS, end, is_whole, passage_of, told
from tests.golden.streams import NAMES, stream

RECORDED = [each for each in recordings() if each.is_stream and is_whole(each)]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("protocol", NAMES)
def test_a_stream_of_ours_cut_at_any_byte_does_not_end_cleanly(protocol: str, name: str) -> None:
    _cut_everywhere(stream(protocol, client=name), (name,))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("recording", params(RECORDED))
def test_a_recorded_stream_cut_at_any_byte_does_not_end_cleanly(recording: Recording) -> None:
    _cut_everywhere(recording, tuple(FORMATS))


class _Client:
    """What a client of one format has been told of a stream so far."""

    def __init__(self, recording: Recording, name: str) -> None:
        passage, one = passage_of(recording, FORMATS[name])
        self.name = name
        self.translator = passage.stream(one)
        self.shown = b""

    def feed(self, event: bytes) -> None:
        """Translate an event."""
        self.shown += self.translator.feed(event)

    def refuses(self, event: bytes) -> bool:
        """Tell whether a broken event is noticed."""
        try:
            self.translator.feed(event)
        except BadAnswer:
            return True
        return False

    def break_off(self) -> None:
        """End a copy of the stream where it is, as the relay does when the connection ends."""
        translator = copy.deepcopy(self.translator)
        if translator.finish_reason:
            # The upstream has said that the answer is whole; what may follow is its usage.
            return
        facts = STREAM[self.name]((self.shown + translator.failure(UpstreamError("Broken."))).decode())
        assert facts.has_error
        assert facts.reason in {"", "error"}
        assert 4 * translator.output_tokens >= len(facts.text)
        if facts.text or facts.thoughts or facts.calls:
            assert translator.has_output
            assert translator.output_tokens > 0


def _cut_everywhere(recording: Recording, names: tuple[str, ...]) -> None:
    clients = [_Client(recording, name) for name in names]
    new_splitter = passage_of(recording, FORMATS[names[0]])[0].splitter
    splitter, begun = new_splitter(), 0
    for place in range(len(recording.body)):
        for event in splitter.feed(recording.body[place : place + 1]):
            begun = place + 1
            for client in clients:
                client.feed(event)
                client.break_off()
        rest = new_splitter()
        assert rest.feed(recording.body[begun : place + 1]) == []
        for event in rest.finish():
            _end_with(event, clients)

    # None of the broken pieces has left a mark.
    expected = told(recording)
    for client in clients:
        facts = STREAM[client.name]((client.shown + end(client.translator)).decode())
        assert (facts.text, facts.calls, facts.reason) == (expected.text, expected.calls, expected.reason)


def _end_with(event: bytes, clients: list[_Client]) -> None:
    """Show what a stream ends with: half an event is nonsense, a whole one without its end may be read."""
    try:
        msgspec.json.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        assert all(client.refuses(event) or client.translator.finish_reason for client in clients)
        return
    for client in clients:
        cut = copy.deepcopy(client)
        cut.feed(event)
        cut.break_off()
