"""How deep a body may be nested."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.formats.reading import MAX_DEPTH, MAX_LISTS, read

_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    return (opening * levels + "1" + closing * levels).encode()


@pytest.mark.parametrize(
    "inside",
    [nested(MAX_DEPTH - 1), nested(MAX_DEPTH - 1, "[", "]"), nested((MAX_DEPTH - 1) // 2, '[{"a":', "}]")],
)
def test_a_body_may_be_as_deep_as_the_bound_and_no_deeper(inside: bytes) -> None:
    assert read(_DECODER, b'{"metadata":' + inside + b"}")

    with pytest.raises(InvalidRequest, match="nested too deeply: at most 64 levels"):
        read(_DECODER, b'{"metadata":[[' + inside + b"]]}")


def test_brackets_that_somebody_wrote_are_no_levels() -> None:
    written = '[{ "]} \\' * 100

    assert read(_DECODER, json.dumps({"messages": [{"content": written}] * 2_000}).encode())


def test_a_body_is_built_of_no_more_objects_and_lists_than_a_conversation_needs() -> None:
    lists = b",".join([b"[]"] * (MAX_LISTS - 2))
    assert read(_DECODER, b'{"input":[' + lists + b"]}")

    with pytest.raises(InvalidRequest, match="too many objects and lists: at most 262,144"):
        read(_DECODER, b'{"input":[[],' + lists + b"]}")


def test_a_broken_body_is_told_what_is_wrong_with_it() -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        read(_DECODER, b'{"a":' + b"[" * 100)
