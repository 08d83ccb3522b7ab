"""What the bench of translations reads is what every passage understands."""

from __future__ import annotations

import pytest

from bench.translation import ADAPTERS, FORMATS, attempt_of
from bench.translation_streams import KINDS, PIECE, Kind, wire_of
from gateway.endpoints import ENDPOINTS
from gateway.passages.table import passage_for


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_chunk_reaches_the_client(name: str, adapter: str, kind: Kind) -> None:
    format_ = ENDPOINTS[FORMATS[name]]
    attempt = attempt_of(format_, adapter)
    passage = passage_for(format_, attempt.route, attempt.model)
    translator, splitter = passage.stream(attempt), passage.splitter()
    wire = wire_of(adapter, kind)

    shown = b"".join(translator.feed(event) for piece in wire for event in splitter.feed(piece))

    assert shown.count(PIECE.encode()) >= 400
