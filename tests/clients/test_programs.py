"""Unmodified clients, each a program of its own, on a model of every provider's format."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gateway.upstreams.gemini_seals import NO_SIGNATURE
from tests.clients.running import ANSWERED, SENTENCE, VERDICT, Report, nonce_of
from tests.clients.table import MODELS, SEALS
from tests.live.product import LiveProduct

# The first test of a run starts the product, and the first of a client may install it.
pytestmark = pytest.mark.timeout(420)

# What stands in for thoughts that were lost.
STOPGAPS = {NO_SIGNATURE, " "}


def test_a_whole_answer_arrives(report: Report, model: str) -> None:
    saw = report.of(model, "text")

    assert saw["text"] == SENTENCE
    assert saw["input"] > 10
    assert saw["output"] >= 9


def test_a_stream_brings_the_same_text_and_usage_in_pieces(report: Report, model: str) -> None:
    saw, whole = report.of(model, "stream"), report.of(model, "text")

    assert saw["text"] == SENTENCE
    assert saw["pieces"] >= 5
    assert saw["output"] == whole["output"]


@pytest.mark.parametrize("case", ["tools", "streamed_tools"])
def test_a_tool_is_called_and_its_result_reaches_the_model(
    report: Report, product: LiveProduct, model: str, case: str
) -> None:
    saw = report.of(model, case)

    assert saw["calls"] == [{"name": "get_weather", "arguments": {"city": "Paris"}}]
    assert saw["text"] == VERDICT
    asked = _asked(product, nonce_of(report.client, model, case))
    assert sorted(_has_result(entry) for entry in asked) == [False, True]


@pytest.mark.parametrize("case", ["tools", "streamed_tools"])
@pytest.mark.parametrize(("thinker", "name"), SEALS.items())
def test_thoughts_come_back_with_the_result_of_a_tool(
    report: Report, product: LiveProduct, thinker: str, name: str, case: str
) -> None:
    report.of(thinker, case)

    (entry,) = filter(_has_result, _asked(product, nonce_of(report.client, thinker, case)))
    brought = _values(entry["body"], name)
    # OpenAI's own chat completions know no thoughts.
    assert bool(brought) is not entry["path"].endswith("/v1/chat/completions")
    assert not STOPGAPS.intersection(brought)


@pytest.mark.parametrize(
    ("case", "status"), [("wrong_key", 401), ("unknown_model", 404), ("bad_request", 400)]
)
def test_a_refusal_is_thrown_as_the_class_that_belongs_to_it(report: Report, case: str, status: int) -> None:
    thrown = report.refusal(case)

    assert thrown.get("status") == status, thrown
    assert thrown["thrown"] == getattr(report.client.errors, case)


def test_what_the_client_counted_is_what_is_charged(report: Report, product: LiveProduct) -> None:
    counted = [report.of(model, case) for model, case in itertools.product(MODELS, ANSWERED)]
    # Each question with a tool is two calls.
    calls = 6 * len(MODELS)

    product.wait_settled(report.organization, rows=calls)
    rows = product.usage_rows(report.organization)
    assert {row["outcome"] for row in rows} == {"completed"}
    assert len(rows) == calls
    assert sum(row["input_tokens"] for row in rows) == sum(saw["input"] for saw in counted)
    assert sum(row["output_tokens"] for row in rows) == sum(saw["output"] for saw in counted)
    assert all(row["cost_nano"] > 0 for row in rows)


def _has_result(entry: dict[str, Any]) -> bool:
    return "18 degrees in Paris" in str(entry["body"])


def _values(body: Any, name: str) -> list[Any]:
    """Return what stands under a name, however deep."""
    if isinstance(body, list):
        return [value for part in body for value in _values(part, name)]
    if not isinstance(body, dict):
        return []
    inner = [value for part in body.values() for value in _values(part, name)]
    return [body[name], *inner] if name in body else inner


def _asked(product: LiveProduct, nonce: str) -> list[dict[str, Any]]:
    """Return what reached the simulators under a nonce."""
    return [entry for sandbox in product.sandboxes for entry in sandbox.log(nonce)]
