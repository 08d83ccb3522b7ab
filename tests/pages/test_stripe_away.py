"""While Stripe says nothing, pages say so soon; nobody waits as long as a worker would."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Organization
from billing import customers
from billing.models import TopUp, TopUpStatus
from billing.stripe_api import client, patience
from billing.stripe_api.patience import HURRIED, PATIENT, Patience, hurried
from tests.pages.markup import words
from tests.pages.stripe import Card, page_of

SILENT = {"faults": [{"hang_s": 90}]}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages wait for a moment only, and workers as long as ever: whoever waits like them is found out."""
    monkeypatch.setattr(patience, "HURRIED", Patience(connect_s=0.3, answer_s=0.3, retries=0))


def asked(card: Card, page: str, top_up: TopUp, card_id: int) -> Any:
    """Ask for one of the pages that speak with Stripe."""
    arguments: dict[str, list[object]] = {"remove-card": [card_id]}
    arguments |= {each: [top_up.pk] for each in ("top-up", "resume-top-up", "refund")}
    path = reverse(f"billing:{page}", args=arguments.get(page, []))
    if page in {"top-up", "resume-top-up"}:
        return card.browser.get(path, follow=True)
    return card.browser.post(path, {"amount": "10", "cents": "1000"}, follow=True)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("start-top-up", "Nothing was charged and nothing is lost"),
        ("add-card", "does not answer just now"),
        ("remove-card", "does not answer just now"),
        ("refund", "Your $10.00 are set aside. Stripe does not answer just now"),
        ("top-up", "Stripe does not answer just now"),
        ("resume-top-up", "Stripe does not answer just now"),
    ],
)
def test_every_page_that_asks_stripe_says_soon_that_it_is_away(
    card: Card, soon: None, page: str, said: str
) -> None:
    top_up = card.buy("10") if page == "refund" else card.begin("10")[0]
    saved = card.save()
    card.fake.order("faults", SILENT)
    began = time.monotonic()

    answer = asked(card, page, top_up, saved.pk)

    assert said in words(answer.content.decode())
    # A worker waits for a minute.
    assert time.monotonic() - began < 20


def test_a_top_up_begun_while_stripe_was_silent_is_neither_charged_nor_in_the_way(
    card: Card, soon: None, organization: Organization
) -> None:
    customers.customer_of(organization)
    card.fake.order("faults", SILENT)
    card.browser.post(reverse("billing:start-top-up"), {"amount": "10"})
    card.fake.order("faults", {"faults": []})

    second = card.buy("10")

    first = TopUp.objects.exclude(pk=second.pk).get()
    page = words(card.browser.get(page_of(first)).content.decode())
    assert (first.status, second.status) == (TopUpStatus.CREATED, TopUpStatus.SUCCEEDED)
    assert "Stripe does not answer" not in page
    assert len(card.fake.client().v1.payment_intents.list().data) == 1


def test_workers_wait_longer_than_pages(organization: Organization, card: Card) -> None:
    patient = client.client()
    with hurried():
        hasty = client.client()

    assert client.client() is patient
    assert patient is not hasty
    longest = (HURRIED.connect_s + HURRIED.answer_s) * (HURRIED.retries + 1)
    assert longest < 15 < PATIENT.answer_s
