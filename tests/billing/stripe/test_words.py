"""What the source says of Stripe, and what it must not say any more with SDK 16."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from billing.stripe_api.client import API_VERSION

ROOT = Path(__file__).resolve().parents[3]
SPEAKS = ROOT / "billing" / "stripe_api"
# The fake answers old callers as well.
FAKE = ROOT / "fastanchor" / "local" / "fakestripe"


def sources(*folders: str) -> Iterator[Path]:
    """Return every module of the product, without the fake."""
    for folder in folders:
        yield from (each for each in (ROOT / folder).rglob("*.py") if FAKE not in each.parents)


def test_the_version_is_the_one_that_the_sdk_was_made_for() -> None:
    assert stripe.api_version == API_VERSION


@pytest.mark.parametrize("word", [r"payment_method_types", r"stripe\.api_key", r"stripe\.api_base"])
def test_a_word_that_no_longer_works_is_nowhere(word: str) -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in sources("accounts", "billing", "catalog", "fastanchor", "gateway")
        if re.search(word, path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_the_product_knows_stripe_by_its_address_only() -> None:
    """Nothing but ``./dev up``, which starts it, names the fake: another one is another ``STRIPE_API_BASE``."""
    found = [
        str(path.relative_to(ROOT))
        for path in sources("accounts", "billing", "catalog", "fastanchor", "gateway")
        if "fakestripe" in path.read_text(encoding="utf-8") and path.parent != FAKE.parent
    ]

    assert found == []


def test_nothing_of_stripe_is_taken_for_a_dict() -> None:
    """Since SDK 15 its objects have no ``get``, and where Stripe is spoken to nothing else needs it either."""
    found = [
        f"{path.name}:{call.lineno}"
        for path in SPEAKS.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "get"
        # A ContextVar is no object of Stripe's.
        and ast.unparse(call.func.value) != "_is_hurried"
    ]

    assert found == []


def test_nobody_hides_a_mistake_from_mypy_where_stripe_is_spoken_to() -> None:
    """``./dev check`` runs mypy, strictly, on ``billing/`` against the SDK's own types."""
    found = [path.name for path in SPEAKS.glob("*.py") if "type: ignore" in path.read_text(encoding="utf-8")]

    assert found == []
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^files = \[.*"billing"', settings, flags=re.MULTILINE)
    assert re.search(r"^strict = true", settings, flags=re.MULTILINE)
