from __future__ import annotations

import pytest

from catalog.snapshot import Channel, Model, Route
from gateway.endpoints import ENDPOINTS
from gateway.passages.table import ADAPTERS, leads_to, passage_for
from gateway.reach import paths_of
from gateway.upstreams.base import CannotExpress


@pytest.mark.parametrize("adapter", [name for name in ADAPTERS if name != "azure_responses"] + ["unheard-of"])
@pytest.mark.parametrize("path", ENDPOINTS)
def test_what_pages_say_of_a_path_is_what_the_gateway_does(path: str, adapter: str) -> None:
    channel = Channel("chan_1", "one", "acme", adapter, "", "", 1, 10, allow_private=False)
    model = Model("m", "acme", "M", 8, 8, frozenset(), ("text",), ("text",), 0, (), ())

    try:
        is_served = passage_for(ENDPOINTS[path], Route(channel, "m"), model) is not None
    except CannotExpress:
        is_served = False

    assert leads_to(ENDPOINTS[path], adapter) == is_served


def test_the_paths_of_a_model_are_those_of_its_kind_and_its_channels() -> None:
    texts = ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses")

    assert paths_of("chat", ["gemini"]) == texts
    assert paths_of("embedding", ["openai", "gemini"]) == ("/v1/embeddings",)
    assert paths_of("embedding", ["gemini"]) == ()
    assert paths_of("chat", []) == ()
