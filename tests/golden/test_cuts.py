"""A stream that is cut anywhere never ends like a whole one, never crashes, and what was delivered is still counted."""

from __future__ import annotations

import copy
import os
import random

import pytest

from gateway.errors import UpstreamError
from gateway.passages.base import StreamTranslator
from gateway.passages.table import passage_for
from gateway.upstreams.base import BadAnswer, Splitter
from gateway.upstreams.faults import UpstreamTooLarge
from tests.gateway.attempts import attempt, channel, model
from tests.golden.facts import STREAM
from tests.golden.recordings import Recording, params, recordings
from tests.golden.test_answers import FORMATS, TRAITS, asked_in, is_whole

STREAMS = [each for each in recordings() if each.is_stream and is_whole(each)]
# Every byte of every recording takes minutes: FASTANCHOR_ALL_CUTS=1 does it, usually places are drawn by lot.
CUTS = None if os.environ.get("FASTANCHOR_ALL_CUTS") else 60


def _start(recording: Recording, name: str) -> tuple[StreamTranslator, Splitter]:
    format_ = FORMATS[name]
    one = attempt(
        asked_in(format_, is_stream=True),
        channel=channel(recording.provider, recording.adapter),
        model=model(traits=TRAITS.get(recording.adapter, frozenset())),
    )
    passage = passage_for(format_, one.route, one.model)
    return passage.stream(one), passage.splitter()


def _places(size: int, seed: str) -> list[int]:
    if CUTS is None or size <= CUTS:
        return list(range(size))
    return sorted(random.Random(seed).sample(range(size), CUTS))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recording", params(STREAMS))
def test_a_cut_stream_does_not_end_cleanly(recording: Recording, name: str) -> None:
    translator, splitter = _start(recording, name)
    told, start = "", 0

    for place in _places(len(recording.body), recording.name + name):
        for event in splitter.feed(recording.body[start:place]):
            told += translator.feed(event).decode()
        start = place
        if translator.finish_reason:
            # From here on the upstream has said that the answer is whole.
            break
        _end_here(copy.deepcopy((translator, splitter)), name, told)


def _end_here(cut: tuple[StreamTranslator, Splitter], name: str, told: str) -> None:
    """End a copy of a stream where it is, as the relay does when the connection ends."""
    translator, splitter = cut
    try:
        for event in splitter.finish():
            told += translator.feed(event).decode()
    except (BadAnswer, UpstreamTooLarge):
        pass
    else:
        if translator.finish_reason:
            # The last line was whole but for its end.
            return
    facts = STREAM[name](told + translator.failure(UpstreamError("It broke off.")).decode())
    assert facts.has_error
    assert facts.reason in {"", "error"}
    if facts.text:
        assert translator.has_output
        assert translator.output_tokens > 0
