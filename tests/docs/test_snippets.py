"""Every snippet of the documentation runs, and every answer that it shows is one that is really given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fastanchor.manual import blocks
from gateway.upkeep import KEEP_ALIVE
from tests.docs.running import Answer, Ran, Reader, Shown, changed, shown_blocks

# The first test of a run starts the product and runs everything.
pytestmark = pytest.mark.timeout(300)

SHOWN = shown_blocks()
KINDS = {"run", "answer", "headers", "events", "url", "comment"}
# Fields whose values are words of the format, not examples.
_FIXED = {
    "code",
    "currency",
    "finish_reason",
    "kind",
    "object",
    "param",
    "role",
    "status",
    "stop_reason",
    "type",
    "unit",
}
_NUMBER = re.compile(r"\d[\d.]*")


def of_kind(kind: str) -> list[Any]:
    """Return the blocks with a mark, as parameters."""
    return [pytest.param(each, id=each.name) for each in SHOWN if kind in each.block.marks]


@pytest.fixture(scope="package")
def answers(reader: Reader, ran: Ran) -> dict[tuple[str, str], Answer]:
    """Return the answers to snippets, by their text and by how they were changed."""
    return {(text, ""): answer for text, answer in ran.answers.items()}


def answer_to(shown: Shown, reader: Reader, known: dict[tuple[str, str], Answer]) -> Answer:
    """Return what the snippet before a block is answered; one that was changed is run now."""
    assert shown.asked is not None
    place = (shown.asked.text, shown.change)
    if place not in known:
        known[place] = _answered_otherwise(shown, reader)
    return known[place]


def _answered_otherwise(shown: Shown, reader: Reader) -> Answer:
    key, product = "", reader.product
    if shown.change == "poor":
        key = product.new_key(reader.organization, "--day-budget-cents=1")
    elif shown.change == "limited":
        key = product.new_key(reader.organization, "--rpm=1")
        reader.curl(f"{shown.name}-before", reader.filled(changed(shown), key=key))
    return reader.curl(shown.name, reader.filled(changed(shown), key=key))


def test_every_block_says_what_it_is() -> None:
    assert [each.name for each in SHOWN if not KINDS & {*each.block.marks}] == []


def test_every_choice_of_languages_is_a_choice_of_all_three() -> None:
    by_page: dict[str, list[blocks.Block]] = {}
    for each in SHOWN:
        by_page.setdefault(each.name.rsplit("-", 2)[0], []).append(each.block)
    groups = [group for page in by_page.values() for group in blocks.grouped(page) if len(group) > 1]

    assert groups
    assert {tuple(block.language for block in group) for group in groups} == {("sh", "python", "js")}


@pytest.mark.parametrize("shown", of_kind("run"))
def test_a_snippet_runs(shown: Shown, ran: Ran) -> None:
    assert shown.name not in ran.failed, ran.failed[shown.name]
    is_silent = "write" in shown.block.text or "delete" in shown.block.text or " -o " in shown.block.text
    assert ran.printed[shown.name].strip() or is_silent


@pytest.mark.parametrize("shown", of_kind("answer"))
def test_an_answer_is_as_it_is_shown(
    shown: Shown, reader: Reader, answers: dict[tuple[str, str], Answer]
) -> None:
    given = json.loads(answer_to(shown, reader, answers).body)

    assert list(missing(json.loads(shown.block.text), given)) == [], given


@pytest.mark.parametrize("shown", of_kind("headers"))
def test_headers_are_as_they_are_shown(
    shown: Shown, reader: Reader, answers: dict[tuple[str, str], Answer]
) -> None:
    answer = answer_to(shown, reader, answers)

    for line in shown.block.text.splitlines():
        name, _, value = line.partition(": ")
        if not value:
            assert answer.status == line
        elif value in {"true", "false"}:
            assert answer.headers[name] == value
        else:
            assert name in answer.headers


@pytest.mark.parametrize("shown", of_kind("events"))
def test_events_come_as_they_are_shown(
    shown: Shown, reader: Reader, answers: dict[tuple[str, str], Answer]
) -> None:
    given = iter(events(answer_to(shown, reader, answers).body))

    for example in events(shown.block.text):
        assert any(not list(missing(example, event)) for event in given), example
    if "broken" in shown.block.marks:
        assert list(given) == []


@pytest.mark.parametrize("shown", of_kind("comment"))
def test_the_comment_is_the_one_that_is_sent(shown: Shown) -> None:
    assert f"{shown.block.text}\n\n".encode() == KEEP_ALIVE


@pytest.mark.parametrize("shown", of_kind("url"))
def test_the_base_url_is_the_one_that_snippets_take(shown: Shown) -> None:
    assert shown.block.text == f"{blocks.EXAMPLE_ORIGIN}/v1"


def events(text: str) -> Iterator[Any]:
    """Return the events of a stream: their names where they have one, and what they hold."""
    for part in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
        if "data" in fields:
            data = fields["data"]
            yield [fields.get("event"), data if data == "[DONE]" else json.loads(data)]


def missing(example: Any, given: Any, place: str = "") -> Iterator[str]:
    """Return the places where an answer is not as the example; it may always have more."""
    if isinstance(example, dict) and isinstance(given, dict):
        for name, value in example.items():
            if name not in given:
                yield f"{place}.{name} is missing"
            else:
                yield from missing(value, given[name], f"{place}.{name}")
    elif isinstance(example, list) and isinstance(given, list):
        for value in example:
            if all(list(missing(value, each, place)) for each in given):
                yield f"{place} has no {value}"
    elif not _is_alike(example, given, place.rpartition(".")[2]):
        yield f"{place} is {given!r}"


def _is_alike(example: Any, given: Any, name: str) -> bool:
    if name == "message":
        return _NUMBER.sub("#", str(example)) == _NUMBER.sub("#", str(given))
    if name in _FIXED or example == "[DONE]":
        return bool(example == given)
    if example is None or given is None:
        return example is None
    numbers = (int, float)
    are_numbers = isinstance(example, numbers) and isinstance(given, numbers)
    return are_numbers or type(example) is type(given)
