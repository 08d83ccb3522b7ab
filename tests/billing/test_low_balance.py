"""Owners are told of a low balance once per crossing, and of an automatic top-up that was switched off."""

from __future__ import annotations

import smtplib
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from pytest_django import Settings

from accounts import plans
from accounts.models import Membership, Organization
from billing import backoff, low_balance, off_notices, tasks, topups
from billing.models import AutoTopUp, LowBalanceAlert
from billing.settlement import settle_batch
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization, usage


def spend(organization: Organization, cents: int) -> None:
    nano = cents_to_nanos(cents)
    settle_batch([usage(organization, cost_nano=nano, cost_picos=nano * 1_000, hold_nano=nano)])


def pay(organization: Organization, cents: int) -> None:
    key = f"paid:{organization.pk}:{cents}:{LowBalanceAlert.objects.count()}"
    topups.record_top_up(organization=organization, cents=cents, key=key, actor="test")


def tell() -> list[str]:
    """Do what the task does, and return the subjects of the mails that it sent."""
    mail.outbox.clear()
    tasks.mail_about_money()
    return [str(each.subject) for each in mail.outbox]


def automatic(organization: Organization, **changes: object) -> AutoTopUp:
    values = {"is_on": True, "threshold_cents": 1_000, "target_cents": 5_000, "month_cap_cents": 20_000}
    return AutoTopUp.objects.create(organization=organization, **{**values, **changes})


@pytest.fixture
def payer(organization: Organization) -> Organization:
    """Return an organization with $20 that it has paid for."""
    pay(organization, 2_000)
    return organization


LOW = "Your balance is below $5.00"
OFF = "Your automatic top-up is off"


def test_a_balance_that_falls_below_five_dollars_is_told_once(payer: Organization) -> None:
    before = tell()
    spend(payer, 1_501)

    told = [tell() for _ in range(3)]
    spend(payer, 100)

    assert (before, told) == ([], [[LOW], [], []])
    assert tell() == []


def test_hovering_at_the_threshold_tells_nobody_twice_and_a_second_fall_does(payer: Organization) -> None:
    spend(payer, 1_501)
    tell()
    pay(payer, 100)
    hovering = tell()
    spend(payer, 100)
    hovering += tell()

    pay(payer, 101)
    recovered = tell()
    spend(payer, 200)

    assert (hovering, recovered) == ([], [])
    assert tell() == [LOW]


def test_the_mail_tells_what_is_left_and_leads_to_the_billing_page(
    payer: Organization, settings: Settings
) -> None:
    settings.SITE_ORIGIN = "https://gateway.example"
    Organization.objects.update(name="Ada & Söhne")
    spend(payer, 1_750)
    tell()

    [sent] = mail.outbox

    assert sent.to == ["alice@example.org"]
    assert "The balance of Ada & Söhne has fallen below $5.00: $2.50 are left." in sent.body
    assert "https://gateway.example/billing/\n" in sent.body
    assert "&amp;" not in sent.body


@pytest.mark.parametrize(("cents", "told"), [(0, []), (100, []), (1_000, ["Your balance is below $10.00"])])
def test_everybody_sets_the_amount(payer: Organization, cents: int, told: list[str]) -> None:
    low_balance.change(payer, cents=cents)
    spend(payer, 1_501)

    assert tell() == told


def test_nobody_who_wants_no_mail_gets_one_below_zero(payer: Organization) -> None:
    low_balance.change(payer, cents=0)
    spend(payer, 2_100)

    assert (tell(), tell()) == ([], [])


def test_who_has_bought_nothing_is_not_told(organization: Organization) -> None:
    spend(organization, 1)

    assert organization.plan_id == plans.FREE
    assert tell() == []


@pytest.mark.parametrize(("changes", "told"), [({}, []), ({"failures": 1}, [LOW]), ({"is_on": False}, [LOW])])
def test_only_an_automatic_top_up_that_works_makes_the_mail_needless(
    payer: Organization, changes: dict[str, object], told: list[str]
) -> None:
    automatic(payer, **changes)
    spend(payer, 1_600)

    assert tell() == told


def test_a_switched_off_top_up_is_told_once_with_the_reason_and_the_way_out(
    payer: Organization, settings: Settings
) -> None:
    settings.SITE_ORIGIN = "https://gateway.example"
    automatic(payer)
    spend(payer, 1_600)
    for _ in range(2):
        backoff.switch_off(payer, why="The card has expired.")

    assert [tell(), tell()] == [[OFF], []]

    AutoTopUp.objects.update(is_notice_due=True)
    tell()
    body = mail.outbox[0].body
    assert "Why: The card has expired." in body
    assert "Your balance is $4.00." in body
    assert "https://gateway.example/billing/\n" in body
    assert "https://gateway.example/billing/cards/" in body


def test_a_mail_that_cannot_be_sent_stays_due(
    payer: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend(payer, 1_501)
    with monkeypatch.context() as away:
        away.setattr(EmailBackend, "send_messages", _refuse)
        with pytest.raises(smtplib.SMTPException):
            low_balance.send_due()

    assert tell() == [LOW]


def _refuse(*_: object) -> int:
    raise smtplib.SMTPServerDisconnected


def test_an_organization_that_nobody_owns_holds_nobody_up(payer: Organization) -> None:
    spend(payer, 1_501)
    Membership.objects.all().delete()
    bob = make_organization("bob@example.org")
    pay(bob, 100)

    assert (tell(), [each.to for each in mail.outbox]) == ([LOW], [["bob@example.org"]])


def test_ten_workers_at_once_send_one_mail_of_each(lasting_organization: Organization) -> None:
    pay(lasting_organization, 2_000)
    spend(lasting_organization, 1_501)
    bob = make_organization("bob@example.org")
    automatic(bob, is_on=False, is_notice_due=True)
    mail.outbox.clear()

    def work(_: int) -> int:
        try:
            return off_notices.send_due() + low_balance.send_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        counts = list(pool.map(work, range(10)))

    assert sum(counts) == 2
    assert sorted(each.subject for each in mail.outbox) == [OFF, LOW]
