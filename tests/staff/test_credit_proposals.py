"""Above $100 within a day a second person decides, whatever way is tried, and credit is booked once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Organization, User
from billing import adjustments, credit_proposals, drafts, wallets
from billing.admin.base import page_of
from billing.models import CreditProposal, Journal, ProposalState, Wallet
from billing.tasks import expire_credit_proposals
from tests.accounts.race import at_once
from tests.billing.cast import make_organization
from tests.billing.test_staff_bookings import confirm, hidden, preview, tool
from tests.staff.customers_cast import DOLLAR, desk, told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_factor(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = False


@pytest.fixture
def organization(db: None) -> Organization:
    return make_organization()


@pytest.fixture
def ada(db: None) -> User:
    return desk("finance", "ada")[0]


@pytest.fixture
def ben(db: None) -> User:
    return desk("finance", "ben")[0]


def give(organization: Organization, dollars: int, key: str, actor: str = "user:7") -> Journal:
    draft = adjustments.give(
        organization=organization, amount_nano=dollars * DOLLAR, reason="r", key=key, actor=actor
    )
    return drafts.book(draft, shown=drafts.show(draft))


def proposed(organization: Organization, by: User, dollars: int = 101, **more: Any) -> CreditProposal:
    return credit_proposals.propose(
        organization=organization,
        amount_nano=dollars * DOLLAR,
        reason="Outage",
        by=by,
        form_key=f"adjustment:{dollars}",
        **more,
    )


def approve(proposal: CreditProposal, by: User) -> Journal:
    draft = credit_proposals.approve(proposal=proposal, by=by, why="Checked")
    return drafts.book(draft, shown=drafts.show(draft))


def balance(organization: Organization) -> int:
    return wallets.of(organization).balance_nano


def test_a_hundred_dollars_are_given_alone_and_a_nano_more_is_not(organization: Organization) -> None:
    give(organization, 100, "adjustment:1")
    draft = adjustments.give(
        organization=organization, amount_nano=1, reason="r", key="adjustment:2", actor="user:7"
    )

    with pytest.raises(adjustments.NeedsSecondPerson) as caught:
        drafts.show(draft)

    assert (caught.value.left_nano, balance(organization)) == (0, 100 * DOLLAR)


def test_many_small_ones_are_one_large_one(organization: Organization) -> None:
    give(organization, 60, "adjustment:1")

    with pytest.raises(adjustments.NeedsSecondPerson) as caught:
        give(organization, 41, "adjustment:2")
    give(organization, 40, "adjustment:3")

    assert caught.value.left_nano == 40 * DOLLAR
    assert balance(organization) == 100 * DOLLAR


def test_another_person_another_organization_and_the_next_day_are_counted_anew(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_organization("bob@example.org")
    give(organization, 100, "adjustment:1")

    give(organization, 90, "adjustment:2", actor="user:8")
    give(other, 90, "adjustment:3")
    monkeypatch.setattr(adjustments, "ALONE_WITHIN", timedelta(0))
    give(organization, 90, "adjustment:4")

    assert (balance(organization), balance(other)) == (280 * DOLLAR, 90 * DOLLAR)


def test_a_second_click_on_what_was_just_given_is_still_the_first(organization: Organization) -> None:
    draft = adjustments.give(
        organization=organization, amount_nano=100 * DOLLAR, reason="r", key="adjustment:1", actor="user:7"
    )
    shown = drafts.show(draft)

    first, again = drafts.book(draft, shown=shown), drafts.book(draft, shown=shown)

    assert first.pk == again.pk
    assert balance(organization) == 100 * DOLLAR


def test_a_second_person_books_it_and_the_first_may_still_give_alone(
    organization: Organization, ada: User, ben: User
) -> None:
    proposal = proposed(organization, ada, 500)
    before = balance(organization)

    journal = approve(proposal, ben)
    give(organization, 100, "adjustment:2", actor=f"user:{ada.pk}")
    give(organization, 100, "adjustment:3", actor=f"user:{ben.pk}")

    proposal.refresh_from_db()
    assert (before, balance(organization)) == (0, 700 * DOLLAR)
    assert (proposal.state, proposal.journal_id, proposal.decided_by) == ("approved", journal.pk, ben)
    assert (journal.reason, journal.actor) == ("Outage", f"user:{ben.pk}")
    entry = told("credit_proposal.approved")
    assert (entry.user_id, entry.before["state"], entry.reason) == (ben.pk, "open", "Checked")
    assert told("credit_proposal.proposed").user_id == ada.pk


def test_nobody_approves_or_declines_their_own(organization: Organization, ada: User) -> None:
    proposal = proposed(organization, ada)

    with pytest.raises(credit_proposals.OwnProposal):
        approve(proposal, ada)
    with pytest.raises(credit_proposals.OwnProposal):
        credit_proposals.decline(proposal=proposal, by=ada, why="r")

    assert balance(organization) == 0


def test_the_database_refuses_an_approval_by_its_proposer(
    organization: Organization, ada: User, ben: User
) -> None:
    proposal = proposed(organization, ada)
    approve(proposal, ben)

    with pytest.raises(IntegrityError, match="proposal_needs_a_second_person"), transaction.atomic():
        CreditProposal.objects.update(decided_by=ada)
    with pytest.raises(IntegrityError, match="proposal_booked_once_approved"), transaction.atomic():
        CreditProposal.objects.update(state="open")


def test_what_is_decided_stays_decided(organization: Organization, ada: User, ben: User) -> None:
    declined, withdrawn = proposed(organization, ada, 101), proposed(organization, ada, 102)
    credit_proposals.decline(proposal=declined, by=ben, why="Too much")
    credit_proposals.withdraw(proposal=withdrawn, by=ada, why="Mistaken")

    for proposal in (declined, withdrawn):
        with pytest.raises(credit_proposals.NotOpen):
            approve(proposal, ben)
        with pytest.raises(credit_proposals.NotOpen):
            credit_proposals.decline(proposal=proposal, by=ben, why="r")

    assert balance(organization) == 0
    assert told("credit_proposal.declined").reason == "Too much"


def test_only_its_proposer_withdraws_it(organization: Organization, ada: User, ben: User) -> None:
    with pytest.raises(credit_proposals.NotOwnProposal):
        credit_proposals.withdraw(proposal=proposed(organization, ada), by=ben, why="r")


def test_a_proposal_is_over_after_a_week_whether_marked_or_not(
    organization: Organization, ada: User, ben: User
) -> None:
    proposal = proposed(organization, ada)
    assert timedelta(days=6) < proposal.valid_until - timezone.now() <= timedelta(days=7)
    CreditProposal.objects.update(valid_until=timezone.now())

    with pytest.raises(credit_proposals.NotOpen):
        approve(proposal, ben)
    expire_credit_proposals()

    proposal.refresh_from_db()
    assert proposal.state == ProposalState.EXPIRED
    assert told("credit_proposal.expired").user_id is None


@pytest.mark.django_db(transaction=True)
def test_two_who_approve_at_the_same_moment_book_once() -> None:
    organization = make_organization()
    ada, ben, cleo = (desk("finance", name)[0] for name in ("ada", "ben", "cleo"))
    proposal, booked = proposed(organization, ada), []
    by = iter([ben, cleo, ben, cleo])
    shown = drafts.show(credit_proposals.approve(proposal=proposal, by=ben, why="r"))

    def approve_it() -> None:
        try:
            draft = credit_proposals.approve(proposal=proposal, by=next(by), why="r")
            booked.append(drafts.book(draft, shown=shown).pk)
        except credit_proposals.NotOpen:
            booked.append("too late")

    at_once(approve_it, 4)

    assert sorted(each == "too late" for each in booked) == [False, True, True, True]
    assert Journal.objects.count() == 1
    assert balance(organization) == 101 * DOLLAR


@pytest.mark.django_db(transaction=True)
def test_two_grants_at_the_same_moment_do_not_slip_past_the_limit() -> None:
    organization = make_organization()
    keys = iter(["adjustment:1", "adjustment:2"])
    refused = []

    def give_it() -> None:
        try:
            give(organization, 60, next(keys))
        except adjustments.NeedsSecondPerson:
            refused.append(1)

    at_once(give_it, 2)

    assert (len(refused), balance(organization)) == (1, 60 * DOLLAR)


def typed(browser: Client, wallet: Wallet, amount: str) -> tuple[str, dict[str, str]]:
    return preview(browser, tool(wallet, "give"), amount=amount, reason="Outage", expires_on="")


def test_the_form_leads_from_too_much_to_a_proposal_and_the_second_person_books_it(
    organization: Organization,
) -> None:
    wallet = wallets.of(organization)
    _, ada = desk("finance", "ada")
    _, ben = desk("finance", "ben")

    page, sent = typed(ada, wallet, "100.01")
    again = ada.post(tool(wallet, "give"), {**sent, "amount": "100.01", "reason": "Outage", "_propose": "1"})
    ada.post(tool(wallet, "give"), {**sent, "amount": "100.01", "reason": "Outage", "_propose": "1"})

    proposal = CreditProposal.objects.get()
    assert "Propose it to a second person" in page
    assert "at most $100.000000000 within 24 hours" in page
    assert again["Location"] == page_of(proposal)
    assert balance(organization) == 0
    address = tool(proposal, "approve")
    assert ada.get(address).status_code == 403
    assert address not in ada.get(page_of(proposal)).content.decode()
    assert address in ben.get(page_of(proposal)).content.decode()
    shown, sent = preview(ben, address, reason="Checked")
    confirm(ben, address, sent)
    assert shown.count("$100.010000000") >= 2
    assert balance(organization) == 100_010_000_000


def test_a_confirmation_that_skips_the_preview_is_held_to_the_limit(organization: Organization) -> None:
    wallet = wallets.of(organization)
    _, ada = desk("finance", "ada")
    form = hidden(ada.get(tool(wallet, "give")).content.decode())

    legs = f"promo_expense:{200 * DOLLAR},wallet_promo:-{200 * DOLLAR}"
    confirm(ada, tool(wallet, "give"), {**form, "amount": "200", "reason": "r", "shown": legs})

    assert Journal.objects.count() == 0


def test_a_proposal_is_declined_or_withdrawn_in_the_admin(organization: Organization) -> None:
    (ada, adas), (_, bens) = desk("finance", "ada"), desk("finance", "ben")
    mine, other = proposed(organization, ada, 101), proposed(organization, ada, 102)

    adas.post(tool(mine, "withdraw"), {"reason": "Mistaken"})
    bens.post(tool(other, "decline"), {"reason": ""})
    open_still = CreditProposal.objects.get(pk=other.pk).state
    bens.post(tool(other, "decline"), {"reason": "Too much"})

    states = dict(CreditProposal.objects.values_list("pk", "state"))
    assert (states[mine.pk], open_still, states[other.pk]) == ("withdrawn", "open", "declined")


@pytest.mark.parametrize("role", ["support", "catalog", "operations"])
def test_other_roles_neither_give_nor_approve(organization: Organization, role: str) -> None:
    ada, _ = desk("finance", "ada")
    proposal = proposed(organization, ada)
    _, browser = desk(role)

    for address in (
        tool(wallets.of(organization), "give"),
        tool(proposal, "approve"),
        tool(proposal, "decline"),
    ):
        assert browser.post(address, {"reason": "r"}).status_code == 403
    can_read = browser.get(reverse("admin:billing_creditproposal_changelist")).status_code
    assert can_read == (200 if role == "support" else 403)
