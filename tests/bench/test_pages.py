"""The bench of pages in short: every page behind the login is known to it, answers, and asks little."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts import people
from bench import filling, pages, signed_in
from bench.pages import Measured
from billing import audit
from tests.pages.urlmap import Address, addresses

RECORDS = 10_000


def unknown(stranger: Client, owner: Client) -> list[str]:
    """Return the names of pages behind the login that are neither measured nor excused."""
    known = {page.name for page in signed_in.PAGES} | set(signed_in.OTHERS)
    return [
        address.name
        for address in addresses()
        if address.name not in known and is_page(stranger, owner, address)
    ]


def is_page(stranger: Client, owner: Client, address: Address) -> bool:
    """Tell whether strangers are sent to the login, and members may look: what only takes a POST is no page."""
    path = reverse(address.name, kwargs=dict.fromkeys(address.parameters, 7))
    response = stranger.get(path)
    is_guarded = response.status_code == 302 and response["Location"].startswith(reverse("account_login"))
    return is_guarded and owner.get(path).status_code != 405


@pytest.fixture
def filled(db: None) -> filling.Filled:
    return filling.fill(records=RECORDS)


def test_every_page_answers_and_asks_little_with_ten_thousand_records(
    client: Client, filled: filling.Filled
) -> None:
    client.force_login(filled.owner)

    measured = [pages.measure(client, page.label, page.path(filled), requests=0) for page in signed_in.PAGES]

    assert len(measured) > 15
    assert [(each.name, each.status) for each in measured if each.status != 200] == []
    asking = {each.name: each.queries for each in measured if each.queries > pages.MOST_QUERIES}
    assert asking == {}


def test_what_is_filled_in_adds_up(filled: filling.Filled) -> None:
    broken = [(check.name, check.culprits[:1]) for check in audit.stored_checks() if not check.ok]

    assert broken == []


def test_every_page_behind_the_login_is_known_to_the_bench(client: Client, db: None) -> None:
    owner = Client()
    owner.force_login(people.ensure_verified(email="ada@example.com"))

    assert unknown(client, owner) == []


def test_a_page_that_the_bench_does_not_know_is_named(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Client()
    owner.force_login(people.ensure_verified(email="ada@example.com"))
    monkeypatch.setattr(signed_in, "PAGES", signed_in.PAGES[1:])

    assert unknown(client, owner) == ["dashboard"]


@pytest.mark.parametrize(
    ("status", "queries", "slow_ms", "is_within"),
    [(200, 12, 99.0, True), (200, 13, 1.0, False), (200, 1, 100.0, False), (500, 1, 1.0, False)],
)
def test_a_missed_target_is_seen(*, status: int, queries: int, slow_ms: float, is_within: bool) -> None:
    # Five of a hundred may take as long as they like.
    each = Measured("dashboard", status, queries, [1.0] * 94 + [slow_ms] + [5_000.0] * 5)

    assert each.is_within is is_within
    assert ("over the target" in "\n".join(pages.lines([each]))) is not is_within
