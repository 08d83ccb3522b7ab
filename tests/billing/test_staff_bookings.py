"""Bookings by staff: a form, the journal exactly as it will be, a confirmation; once, by whom it was, for the reason given."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Organization, User
from billing import grants, ledger, topups
from billing.admin.base import page_of
from billing.models import AccountCode, CreditLot, Journal, JournalKind, ReconciliationItem, Wallet
from billing.settlement import settle_batch
from tests.billing.cast import usage

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000_000
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


def hidden(page: str) -> dict[str, str]:
    """Return what a page sends along unseen, as a browser would."""
    return {name: unescape(value) for name, value in HIDDEN.findall(page) if name != "csrfmiddlewaretoken"}


def preview(staff: Client, address: str, **typed: Any) -> tuple[str, dict[str, str]]:
    """Fill in a form; return the page that shows what it would book, and what that sends along."""
    form = {**hidden(staff.get(address).content.decode()), **typed}
    page = staff.post(address, form).content.decode()
    return page, hidden(page)


def confirm(staff: Client, address: str, sent: dict[str, str]) -> Any:
    return staff.post(address, {**sent, "_confirm": "Book it"}, follow=True)


@pytest.fixture
def wallet(organization: Organization) -> Wallet:
    grants.grant(organization=organization, amount_nano=2 * DOLLAR, reason="g", key="g", actor="x")
    topups.record_top_up(organization=organization, cents=1_000, key="t", actor="x")
    return Wallet.objects.get()


@pytest.fixture
def item(db: None) -> ReconciliationItem:
    return ReconciliationItem.objects.create(
        kind="cash_unknown",
        subject="txn_1",
        ours="nothing",
        theirs="transfer of -700 cents",
        missing_nano=-7 * DOLLAR,
    )


def tool(row: Any, name: str) -> str:
    return page_of(row).replace("/change/", f"/{name}/")


def adjustments() -> list[Journal]:
    return list(Journal.objects.filter(kind=JournalKind.ADJUSTMENT).order_by("pk"))


def balance() -> int:
    return Wallet.objects.get().balance_nano


def test_credit_is_given_as_it_was_shown_with_reason_and_actor(
    staff: Client, root: User, wallet: Wallet
) -> None:
    give = tool(wallet, "give")
    assert give in staff.get(page_of(wallet)).content.decode()

    page, sent = preview(staff, give, amount="2.50", reason="Outage of 3 March", expires_on="2034-01-02")
    before = (balance(), adjustments())
    end = confirm(staff, give, sent)

    (journal,) = adjustments()
    assert before == (12 * DOLLAR, [])
    assert "Promotional expense" in page
    assert "Outage of 3 March" in page
    assert page.count("$2.500000000") == 3
    assert (journal.reason, journal.actor) == ("Outage of 3 March", f"user:{root.pk}")
    assert (balance(), f"Booked as journal {journal.pk}" in end.content.decode()) == (14_500_000_000, True)
    assert CreditLot.objects.get(journal=journal).expires_at == datetime(2034, 1, 3, tzinfo=UTC)
    assert journal.pk in LogEntry.objects.get(user=root).change_message


def test_credit_is_taken_as_it_was_shown(staff: Client, wallet: Wallet) -> None:
    take = tool(wallet, "take")

    page, sent = preview(staff, take, amount="3", reason="Given twice")
    confirm(staff, take, sent)

    (journal,) = adjustments()
    assert "-$3.000000000" in page
    assert ledger.legs_of(journal) == {
        AccountCode.WALLET_PROMO: 2 * DOLLAR,
        AccountCode.WALLET_PAID: DOLLAR,
        AccountCode.PROMO_EXPENSE: -3 * DOLLAR,
    }
    assert balance() == 9 * DOLLAR


@pytest.mark.parametrize("name", ["give", "take"])
def test_a_double_click_books_once(staff: Client, wallet: Wallet, name: str) -> None:
    address = tool(wallet, name)
    _, sent = preview(staff, address, amount="1", reason="Once")

    confirm(staff, address, sent)
    again = confirm(staff, address, sent)

    assert len(adjustments()) == 1
    assert "booked before" in again.content.decode()


def test_what_has_moved_since_it_was_shown_is_shown_anew_and_not_booked(
    staff: Client, wallet: Wallet
) -> None:
    take = tool(wallet, "take")
    _, sent = preview(staff, take, amount="2", reason="Given twice")
    settle_batch([usage(wallet.organization, cost_nano=DOLLAR, cost_picos=DOLLAR * 1000, hold_nano=DOLLAR)])

    page = confirm(staff, take, sent).content.decode()
    nothing = adjustments()
    confirm(staff, take, hidden(page))

    assert nothing == []
    assert "moved meanwhile" in page
    assert ledger.legs_of(adjustments()[0])[AccountCode.WALLET_PROMO] == DOLLAR


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"amount": "2", "reason": " "}, "This field is required"),
        ({"amount": "a lot", "reason": "r"}, "Write dollars in digits"),
        ({"amount": "0", "reason": "r"}, "Write more than nothing"),
        ({"amount": "12.000000001", "reason": "r"}, "The balance is only $12.000000000"),
    ],
)
def test_what_cannot_be_booked_is_said_beside_the_form(
    staff: Client, wallet: Wallet, typed: dict[str, str], words: str
) -> None:
    page, sent = preview(staff, tool(wallet, "take"), **typed)

    assert words in page
    assert "shown" not in sent
    assert balance() == 12 * DOLLAR


def test_a_confirmation_without_a_preview_books_nothing(staff: Client, wallet: Wallet) -> None:
    give = tool(wallet, "give")
    form = {**hidden(staff.get(give).content.decode()), "amount": "1", "reason": "r"}

    for shown in ({}, {"shown": "wallet_promo:-1,promo_expense:1"}, {"shown": "nonsense"}):
        confirm(staff, give, {**form, **shown})

    assert adjustments() == []


def test_a_preview_can_be_gone_back_from(staff: Client, wallet: Wallet) -> None:
    give = tool(wallet, "give")
    _, sent = preview(staff, give, amount="1.5", reason="Too much?")

    page = staff.post(give, {**sent, "_edit": "Change it"}).content.decode()

    assert 'value="1.5"' in page
    assert 'value="Too much?"' in page


def test_an_item_is_settled_by_a_journal_and_both_lead_to_each_other(
    staff: Client, root: User, item: ReconciliationItem
) -> None:
    book = tool(item, "book")
    assert book in staff.get(page_of(item)).content.decode()

    page, sent = preview(staff, book, account="stripe_reserve", reason="Held back for chargebacks")
    end = confirm(staff, book, sent).content.decode()

    item.refresh_from_db()
    journal = Journal.objects.get()
    assert "Stripe reserve" in page
    assert (item.state, item.journal, item.closed_by) == ("fixed", journal, f"user:{root.pk}")
    assert (journal.source_type, journal.source_id) == ("reconciliation_item", str(item.pk))
    assert page_of(journal) in end
    assert page_of(item) in staff.get(page_of(journal)).content.decode()
    assert book not in end


def test_the_second_of_two_members_of_staff_is_told_who_was_first(
    staff: Client, root: User, item: ReconciliationItem
) -> None:
    book, explain = tool(item, "book"), tool(item, "explain")
    _, sent = preview(staff, book, account="bank", reason="Wire")
    confirm(staff, book, sent)

    second = confirm(staff, book, sent).content.decode()
    third = staff.post(explain, {"reason": "Never mind"}, follow=True).content.decode()

    for page in (second, third):
        assert f"user:{root.pk} has closed this item before" in page
    assert Journal.objects.count() == 1


def test_an_item_is_closed_without_a_journal_for_a_reason(
    staff: Client, root: User, item: ReconciliationItem
) -> None:
    explain = tool(item, "explain")

    refused = staff.post(explain, {"reason": ""})
    open_still = ReconciliationItem.objects.get().state
    staff.post(explain, {"reason": "Refunded the same day"})

    item.refresh_from_db()
    assert (refused.status_code, open_still) == (422, "open")
    assert (item.state, item.note, item.closed_by) == (
        "explained",
        "Refunded the same day",
        f"user:{root.pk}",
    )
    assert not Journal.objects.exists()


@pytest.mark.parametrize(
    ("account", "named", "words"),
    [
        ("wallet_paid", "nobody", "Say whose wallet."),
        ("bank", "its owner", "Only a wallet belongs to somebody."),
    ],
)
def test_a_wallet_is_named_where_one_is_meant_and_only_there(
    staff: Client, wallet: Wallet, item: ReconciliationItem, account: str, named: str, words: str
) -> None:
    owner = wallet.organization_id if named == "its owner" else ""

    page, _ = preview(staff, tool(item, "book"), account=account, organization=owner, reason="r")

    assert words in page


def test_cash_that_left_may_be_taken_from_a_wallet(
    staff: Client, wallet: Wallet, item: ReconciliationItem
) -> None:
    book = tool(item, "book")

    page, sent = preview(
        staff, book, account="wallet_paid", organization=wallet.organization_id, reason="Their bank"
    )
    confirm(staff, book, sent)

    assert "-$7.000000000" in page
    assert balance() == 5 * DOLLAR
    assert ReconciliationItem.objects.get().state == "fixed"


def test_only_who_may_books(client: Client, wallet: Wallet, item: ReconciliationItem) -> None:
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    may = {
        "adjust_wallet": [tool(wallet, "give"), tool(wallet, "take")],
        "close_reconciliationitem": [tool(item, name) for name in ("book", "credit", "explain")],
    }
    clerk.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_wallet", "view_reconciliationitem"])
    )
    client.force_login(clerk)

    for permission, addresses in may.items():
        rows = client.get(page_of(wallet)).content.decode() + client.get(page_of(item)).content.decode()
        assert not any(address in rows for address in addresses)
        assert {client.get(address).status_code for address in addresses} == {403}
        assert {client.post(address, {}).status_code for address in addresses} == {403}

        clerk.user_permissions.add(Permission.objects.get(codename=permission))

        assert {client.get(address).status_code for address in addresses} == {200}


def test_the_forms_are_for_staff(client: Client, wallet: Wallet, item: ReconciliationItem) -> None:
    client.force_login(User.objects.create_user("ada@example.org"))

    for address in (tool(wallet, "give"), tool(item, "book"), tool(item, "explain")):
        assert client.post(address, {}).status_code == 302
        assert client.get(address)["Location"].startswith("/admin/login/")
