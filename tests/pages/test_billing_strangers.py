"""No address of billing shows one organization anything of another."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLPattern, URLResolver

from accounts.models import ApiKey, Membership, User
from billing.models import BillingDetails, Invoice, PaymentMethod, Refund, TaxId, TopUp
from tests.pages.pdf import text_of
from tests.pages.stripe import Card

OWN = [
    "overview",
    "automatic",
    "budgets",
    "cards",
    "transactions",
    "statements",
    "export",
    "details",
    "invoices",
]
ONE = ["top-up", "refund", "receipt", "resume-top-up"]
CARD = ["choose-card", "remove-card"]
SENT = [
    "start-top-up", "add-card", "set-auto-top-up", "set-low-balance", "save-details", "add-tax-id",
    "set-organization-budgets",
]  # fmt: skip
BUDGETS = ["set-member-budgets", "key-budgets"]
OTHERS = ["statement", "invoice", "remove-tax-id"]


def names() -> set[str]:
    """Return the name of every address under /billing/."""
    [billing] = [
        each
        for each in get_resolver().url_patterns
        if isinstance(each, URLResolver) and each.namespace == "billing"
    ]
    return {str(each.name) for each in billing.url_patterns if isinstance(each, URLPattern)}


def test_every_address_is_tried_below() -> None:
    assert names() == {*OWN, *ONE, *CARD, *SENT, *BUDGETS, *OTHERS}


@pytest.mark.parametrize("name", ONE)
def test_what_is_another_s_is_not_there(card: Card, cleo: User, name: str) -> None:
    top_up = card.buy("12.35")
    stranger = Client()
    stranger.force_login(cleo)
    path = reverse(f"billing:{name}", args=[top_up.pk])

    assert stranger.get(path).status_code == 404
    assert stranger.post(path, {"cents": "1235"}).status_code in {404, 405}
    assert not Refund.objects.exists()
    assert card.browser.get(path).status_code in {200, 302}


@pytest.mark.parametrize("name", CARD)
def test_a_card_of_another_is_not_there(card: Card, cleo: User, name: str) -> None:
    saved = card.save()
    stranger = Client()
    stranger.force_login(cleo)

    assert stranger.post(reverse(f"billing:{name}", args=[saved.pk])).status_code == 404
    assert PaymentMethod.objects.filter(removed_at=None, is_default=True).get() == saved


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators")
@pytest.mark.parametrize("name", OWN)
def test_lists_hold_nothing_of_another(card: Card, cleo: User, name: str) -> None:
    top_up = card.buy("12.35")
    waiting, _ = card.begin("56.78")
    card.save()
    card.browser.post(reverse("billing:add-tax-id"), {"tax-kind": "eu_vat", "tax-value": "DE123456788"})
    stranger = Client()
    stranger.force_login(cleo)

    own, foreign = (
        b"".join(each.get(reverse(f"billing:{name}"))).decode() for each in (card.browser, stranger)
    )

    told = (top_up.pk, waiting.pk, "12.35", "$56.78", str(top_up.journal_id), "ending in 4242", "DE123456788")
    assert not any(text in foreign for text in told)
    assert name in {"automatic", "budgets", "statements"} or any(text in own for text in told)


def test_budgets_of_another_are_not_there(browser: Client, ada: User, key: ApiKey, cleo: User) -> None:
    stranger = Client()
    stranger.force_login(cleo)
    membership = Membership.objects.get(user=ada)
    member = reverse("billing:set-member-budgets", args=[membership.pk])
    of_key = reverse("billing:key-budgets", args=[key.pk])

    assert browser.get(of_key).status_code == 200
    assert stranger.get(of_key).status_code == 404
    assert stranger.post(of_key, {"key-budget_day": "1"}).status_code == 404
    assert stranger.post(member, {f"member-{membership.pk}-budget_day": "1"}).status_code == 404
    assert "ada@example.com" not in stranger.get(reverse("billing:budgets")).content.decode()
    for each in (membership, key):
        each.refresh_from_db()
        assert each.budgets == {}


def test_an_invoice_and_a_tax_id_of_another_are_not_there(card: Card, cleo: User) -> None:
    card.buy("12.35")
    card.browser.post(reverse("billing:add-tax-id"), {"tax-kind": "eu_vat", "tax-value": "DE123456788"})
    stranger = Client()
    stranger.force_login(cleo)
    number, tax_id = Invoice.objects.get().pk, TaxId.objects.get().pk

    assert stranger.get(reverse("billing:invoice", args=[number])).status_code == 404
    assert stranger.post(reverse("billing:remove-tax-id", args=[tax_id])).status_code == 404
    assert TaxId.objects.exists()
    assert card.browser.get(reverse("billing:invoice", args=[number])).status_code == 200


def test_a_statement_is_of_one_s_own_money(card: Card, cleo: User) -> None:
    card.buy("12.35")
    stranger = Client()
    stranger.force_login(cleo)
    month = TopUp.objects.get().created_at.strftime("%Y-%m")

    path = reverse("billing:statement", args=[month])

    assert "12.35" in text_of(card.browser.get(path).content)
    assert "12.35" not in text_of(stranger.get(path).content)


@pytest.mark.parametrize("name", [*OWN, *ONE, *CARD, *SENT, *BUDGETS, *OTHERS])
def test_who_is_not_logged_in_is_sent_to_the_login(client: Client, db: None, name: str) -> None:
    with_number = {*CARD, "set-member-budgets", "remove-tax-id"}
    with_text = {*ONE, "statement", "invoice", "key-budgets"}
    arguments: list[object] = [7] if name in with_number else ["2026-11"] if name in with_text else []
    path = reverse(f"billing:{name}", args=arguments)

    response = client.post(path) if name in {*with_number, *SENT} else client.get(path)

    assert response["Location"] == f"{reverse('account_login')}?next={path}"


@pytest.mark.parametrize("name", [*SENT, *CARD, "refund"])
def test_money_moves_by_a_form_of_the_page_only(card: Card, cleo: User, name: str) -> None:
    top_up = card.buy("10")
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(User.objects.get(email="ada@example.com"))
    saved = card.save()
    arguments: dict[str, list[object]] = {"refund": [top_up.pk]}
    arguments |= {each: [saved.pk] for each in CARD}
    path = reverse(f"billing:{name}", args=arguments.get(name, []))

    assert guarded.post(path, {"amount": "10", "cents": "1000"}).status_code == 403
    assert TopUp.objects.count() == 1
    assert PaymentMethod.objects.filter(removed_at=None).get() == saved
    assert not Refund.objects.exists()
    assert not BillingDetails.objects.exclude(actor="stripe").exists()
