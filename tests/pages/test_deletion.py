"""Deleting an account: what is refused, what happens to money, what is left of a person."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import keys, organizations
from accounts.models import (
    ApiKey,
    Closure,
    ClosureState,
    Membership,
    Organization,
    Role,
    StoredResponse,
    User,
)
from billing import audit, grants, ledger, sync, topups, wallets
from billing.models import (
    Invoice,
    Refund,
    RefundStatus,
    StripeCustomer,
    TopUp,
    TopUpStatus,
    UsageRecord,
    WalletState,
)
from billing.wallets import of as wallet_of
from fastanchor import closing
from fastanchor.lib.money import NANOS_PER_USD
from fastanchor.tasks import close_accounts
from tests.fakestripe.running import RunningStripe
from tests.pages.markup import faults, words
from tests.pages.stripe import Card
from tests.pages.test_settings_pages import keep
from tests.pages.usage import serve

PASSWORD = "a long password of ada"
pytestmark = pytest.mark.django_db(transaction=True)


def prove(browser: Client) -> None:
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})


def delete(browser: Client, when: str = "now", **more: str) -> str:
    """Send the form and return the words of the page that follows."""
    prove(browser)
    sent = browser.post(reverse("settings:delete"), {"when": when, "name": "ada", **more}, follow=True)
    html = sent.content.decode()
    assert faults(html) == []
    return words(html)


def is_clean() -> bool:
    return all(check.ok for check in audit.stored_checks())


def test_an_account_deleted_now_is_gone_and_the_books_still_add_up(
    browser: Client, ada: User, organization: Organization, key: ApiKey, card: Card, stripe: RunningStripe
) -> None:
    grants.grant_signup_credit(organization=organization)
    top_up = card.buy("20")
    card.save()
    serve(organization, key, cost_nano=6 * NANOS_PER_USD, cost_picos=6_000 * NANOS_PER_USD)
    keep(organization, 2)
    browser.post(reverse("playground-key"))
    Authenticator.objects.create(user=ada, type="recovery_codes", data={})

    said = delete(browser)

    assert "Your account is being deleted." in said
    assert ApiKey.objects.count() == 2
    assert not ApiKey.objects.filter(keys.is_live(), organization=organization).exists()
    assert not Session.objects.exists()
    close_accounts()
    close_accounts()

    [refund] = Refund.objects.all()
    assert (refund.top_up, refund.amount_cents, refund.status) == (top_up, 1_900, RefundStatus.SUCCEEDED)
    assert StripeCustomer.objects.get().deleted_at
    person = User.objects.get(pk=ada.pk)
    assert (person.email, person.is_active) == (f"deleted-{ada.pk}@deleted.invalid", False)
    assert not EmailAddress.objects.exists()
    assert not Authenticator.objects.exists()
    assert not StoredResponse.objects.exists()
    gone = Organization.objects.get(pk=organization.pk)
    assert (gone.name, gone.memberships.count()) == ("Deleted organization", 0)
    assert (UsageRecord.objects.count(), Invoice.objects.count()) == (1, 2)
    wallet = wallet_of(organization)
    assert (wallet.balance_nano, wallet.state) == (0, WalletState.CLOSED)
    assert ledger.credit_of(organization) == 0
    assert is_clean()
    assert [each.subject for each in mail.outbox] == [
        "Your account is being deleted",
        "Your account is deleted",
    ]
    assert mail.outbox[-1].to == ["ada@example.com"]
    refused = Client().post(reverse("account_login"), {"login": "ada@example.com", "password": PASSWORD})
    assert refused.status_code == 200


def test_for_a_week_a_mailed_link_keeps_the_account(
    browser: Client, ada: User, organization: Organization, key: ApiKey, settings: Settings
) -> None:
    settings.SITE_ORIGIN = "http://testserver"
    grants.grant_signup_credit(organization=organization)

    said = delete(browser, "later")

    assert "Your account is deleted on" in said
    assert wallet_of(organization).state == WalletState.CLOSED
    close_accounts()
    [found] = re.findall(r"http://testserver(\S+)", str(mail.outbox[0].body))
    stranger = Client()
    assert "Keep your account?" in words(stranger.get(found).content.decode())
    assert Closure.objects.get().state == ClosureState.WAITING, "opening a link changes nothing"
    assert "Your account stays" in words(stranger.post(found).content.decode())

    assert wallet_of(organization).spendable_nano == 5 * NANOS_PER_USD
    assert ApiKey.objects.get().revoked_at
    assert "no longer works" in words(stranger.post(found).content.decode())
    Closure.objects.update(due_at=timezone.now() - timedelta(days=1))
    close_accounts()
    assert User.objects.get(pk=ada.pk).email == "ada@example.com"


def test_after_the_week_the_account_is_gone(browser: Client, ada: User) -> None:
    delete(browser, "later")
    assert browser.get(reverse("settings:delete")).status_code == 200
    Closure.objects.update(due_at=timezone.now())

    close_accounts()

    assert Closure.objects.get().state == ClosureState.DONE
    assert browser.get(reverse("settings:delete")).status_code == 302


def test_the_owner_can_keep_it_within_the_account(browser: Client, organization: Organization) -> None:
    delete(browser, "later")

    browser.post(reverse("settings:keep-account"))

    assert Closure.objects.get().state == ClosureState.CANCELLED
    assert wallet_of(organization).state == WalletState.ACTIVE


def test_the_password_is_asked_for_and_the_name_must_be_typed(browser: Client, ada: User) -> None:
    sent = browser.post(reverse("settings:delete"), {"when": "now", "name": "ada"})
    assert sent["Location"].startswith(reverse("account_reauthenticate"))

    said = delete(browser, name="eve")

    assert "This is not its name." in said
    assert not Closure.objects.exists()


def test_what_was_sent_before_the_password_goes_on_after_it(browser: Client, ada: User) -> None:
    sent = browser.post(reverse("settings:delete"), {"when": "now", "name": "ada"})

    browser.post(sent["Location"], {"password": PASSWORD}, follow=True)

    assert Closure.objects.get().state == ClosureState.RUNNING
    assert not User.objects.get(pk=ada.pk).is_active


def test_staff_do_not_delete_themselves(browser: Client, ada: User) -> None:
    User.objects.update(is_staff=True)

    assert "member of staff" in words(browser.get(reverse("settings:delete")).content.decode())
    delete(browser)

    assert not Closure.objects.exists()


def test_open_payments_refunds_and_disputes_are_in_the_way(
    browser: Client, organization: Organization, card: Card, stripe: RunningStripe
) -> None:
    top_up, _ = card.begin()
    assert "A payment is open" in delete(browser)

    TopUp.objects.filter(pk=top_up.pk).update(status=TopUpStatus.EXPIRED)
    paid = card.buy()
    Refund.objects.create(top_up=paid, amount_cents=1, status=RefundStatus.PENDING, actor="test")
    assert "A refund is on its way" in delete(browser)

    assert not Closure.objects.exists()


def test_bought_credit_that_cannot_go_back_lapses_only_with_consent(
    browser: Client, organization: Organization
) -> None:
    topups.record_top_up(organization=organization, cents=700, key="transfer-1", actor="test")
    assert "Without it the account cannot be deleted" in delete(browser)
    assert not Closure.objects.exists()

    delete(browser, gives_up_credit="on")
    close_accounts()

    assert Closure.objects.get().state == ClosureState.DONE
    assert ledger.credit_of(organization) == 0
    assert is_clean()


def test_while_stripe_is_away_the_deletion_waits_and_goes_on_later(
    browser: Client, ada: User, card: Card, stripe: RunningStripe
) -> None:
    card.buy()
    delete(browser)
    stripe.order("faults", {"faults": [{"status": 503}]})
    close_accounts()
    assert (Closure.objects.get().state, User.objects.get().email) == (ClosureState.RUNNING, ada.email)

    stripe.order("faults", {"faults": []})
    sync.resend_refunds()
    close_accounts()

    assert Closure.objects.get().state == ClosureState.DONE
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    assert is_clean()


def test_an_organization_with_another_owner_is_left_and_not_deleted(
    browser: Client, ada: User, cleo: User, organization: Organization
) -> None:
    shared = organizations.create(name="Shared", plan_code="free", owner=cleo)
    Membership.objects.create(user=ada, organization=shared, role=Role.OWNER)
    keys.create(organization=shared, name="Build", created_by=ada)
    assert "you only leave Shared" in words(browser.get(reverse("settings:delete")).content.decode())

    delete(browser)
    close_accounts()

    shared.refresh_from_db()
    assert (shared.name, [each.user for each in shared.memberships.all()]) == ("Shared", [cleo])
    assert keys.live_keys(shared).get().name == "Build"


def test_nobody_deletes_somebody_else(browser: Client, cleo: User) -> None:
    other = Client()
    other.force_login(cleo)
    delete(browser, "later")

    other.post(reverse("settings:keep-account"))

    assert Closure.objects.get().state == ClosureState.WAITING
    assert closing.of(cleo) is None


def test_what_was_cancelled_since_it_was_listed_is_not_carried_out(browser: Client, ada: User) -> None:
    delete(browser, "later")
    listed = Closure.objects.select_related("user").get()
    closing.cancel(listed)

    assert not closing.run(listed)

    assert Closure.objects.get().state == ClosureState.CANCELLED
    assert User.objects.get(pk=ada.pk).email == "ada@example.com"


def test_a_freeze_for_fraud_outlives_a_deletion_and_stops_it(
    browser: Client, organization: Organization
) -> None:
    delete(browser, "later")
    with transaction.atomic():
        wallets.turn(wallets.lock(organization), WalletState.FROZEN_FRAUD)
    Closure.objects.update(due_at=timezone.now())

    close_accounts()

    assert Closure.objects.get().state == ClosureState.RUNNING
    assert Closure.objects.get().obstacle
    assert wallet_of(organization).state == WalletState.FROZEN_FRAUD


def test_credit_that_comes_while_the_form_is_open_is_asked_about(
    browser: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = closing.ask

    def meanwhile(user: User, *, is_now: bool, gives_up_credit: bool) -> Closure:
        topups.record_top_up(organization=organization, cents=700, key="transfer-1", actor="test")
        return ask(user, is_now=is_now, gives_up_credit=gives_up_credit)

    monkeypatch.setattr(closing, "ask", meanwhile)

    assert "Without it the account cannot be deleted" in delete(browser)
    assert not Closure.objects.exists()


def test_who_is_deleted_spends_nothing_of_an_organization_that_stays(
    browser: Client, ada: User, cleo: User, organization: Organization
) -> None:
    Membership.objects.create(user=cleo, organization=organization, role=Role.OWNER)
    browser.post(reverse("playground-key"))

    delete(browser)
    close_accounts()

    assert Organization.objects.filter(pk=organization.pk, memberships__user=cleo).exists()
    assert not ApiKey.objects.filter(keys.is_live(), created_by=ada).exists()
