"""The page that tells what each protocol can be told says what the adapters do."""

from __future__ import annotations

import pytest

from tests.matrix.fields import ASKED, PAGE, PROTOCOLS, page, verdict


def test_the_page_is_what_the_adapters_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "Run: python -m tests.matrix.fields"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_can_do_what_agents_need(protocol: str) -> None:
    needed = ("`tools`", "`tool_choice`: required", "`max_completion_tokens`", "picture, base64")

    assert {verdict(ASKED[name], *PROTOCOLS[protocol]) for name in needed} == {"yes"}
