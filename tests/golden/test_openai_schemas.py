"""The schemas kept of OpenAI's document are whole, and what is made of a document is what validates."""

from __future__ import annotations

import json

from tests.golden.openai_schemas import MADE, ROOTS, made


def test_what_is_kept_holds_all_it_refers_to_and_nothing_idle() -> None:
    kept = MADE.read_text(encoding="utf-8")

    assert made({"components": {"schemas": json.loads(kept)}}) == kept


def test_what_validates_nothing_is_left_out_but_for_properties_of_that_name() -> None:
    title = {"type": "string", "description": "Its title.", "x-oaiMeta": {}}
    page = {"type": "object", "title": "Page", "properties": {"title": title}}
    schemas = {name: {"$ref": "#/components/schemas/Page"} for name in ROOTS}

    kept = json.loads(made({"components": {"schemas": {**schemas, "Page": page, "Other": {}}}}))

    assert kept.keys() == {*ROOTS, "Page"}
    assert kept["Page"] == {"type": "object", "properties": {"title": {"type": "string"}}}
