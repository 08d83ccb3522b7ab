"""Profile, organization, notifications and privacy."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import mail_choices, stored_responses
from accounts.archive import Kept
from accounts.models import MailKind, Membership, Organization, Role, StoredResponse, User
from bench.pages import MOST_QUERIES
from billing import mails
from tests.pages.markup import faults, words

PAGES = [
    "profile",
    "organization",
    "notifications",
    "privacy",
    "provider-keys",
    "sessions",
    "data-export",
    "delete",
]


def keep(organization: Organization, number: int = 1) -> None:
    """Store responses as the gateway does."""
    for each in range(number):
        stored_responses.save(
            Kept(
                id=f"resp_{organization.pk}_{each}",
                organization_id=organization.pk,
                key_id="key_1",
                model_id="gpt-4o",
                status="completed",
                created_at=int(timezone.now().timestamp()),
                body=b"{}",
                is_background=False,
            ),
            until=timezone.now().timestamp() + 10,
        )


@pytest.mark.parametrize("name", PAGES)
def test_each_page_keeps_the_policy_and_shows_where_it_is(browser: Client, name: str) -> None:
    html = browser.get(reverse(f"settings:{name}")).content.decode()

    assert faults(html) == []
    assert html.count('aria-current="page"') == 2
    assert html.count("<h1") == 1


@pytest.mark.parametrize("name", PAGES)
def test_strangers_are_sent_to_the_login(client: Client, db: None, name: str) -> None:
    assert client.get(reverse(f"settings:{name}"))["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize(
    "name", ["profile", "notifications", "forget-responses", "end-others", "delete", "keep-account"]
)
def test_strangers_change_nothing(client: Client, db: None, name: str) -> None:
    assert client.post(reverse(f"settings:{name}"))["Location"].startswith(reverse("account_login"))


def test_a_name_is_set_and_taken_away(browser: Client, ada: User) -> None:
    browser.post(reverse("settings:profile"), {"name": "  Ada   Lovelace "})
    ada.refresh_from_db()
    assert ada.name == "Ada Lovelace"
    assert "Ada Lovelace" in words(browser.get(reverse("billing:budgets")).content.decode())

    browser.post(reverse("settings:profile"), {"name": ""})
    ada.refresh_from_db()
    assert ada.name == ""


def test_owners_rename_the_organization_and_nobody_else(browser: Client, organization: Organization) -> None:
    browser.post(reverse("settings:organization"), {"name": "Engines"})
    organization.refresh_from_db()
    assert organization.name == "Engines"

    empty = browser.post(reverse("settings:organization"), {"name": " "})
    assert empty.status_code == 422
    assert "This field is required" in words(empty.content.decode())


def test_the_limits_in_force_are_the_organization_s_own_where_it_has_some(
    browser: Client, organization: Organization
) -> None:
    Organization.objects.update(requests_per_minute=77)

    shown = words(browser.get(reverse("settings:organization")).content.decode())

    assert "Requests a minute 77" in shown
    assert "Tokens a minute 10\u202f000" in shown


def test_mails_go_to_those_who_want_them_and_each_can_be_stopped_with_one_press(
    browser: Client, client: Client, organization: Organization, settings: Settings
) -> None:
    settings.SITE_ORIGIN = "http://testserver"
    facts = {"balance": "$1", "threshold": "$5"}
    mails.send(organization, "low_balance", **facts)
    [sent] = mail.outbox
    [url] = re.findall(r"<http://testserver(\S+)>", sent.extra_headers["List-Unsubscribe"])
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert url in str(sent.body)
    stranger = Client(enforce_csrf_checks=True)
    asked = stranger.get(url).content.decode()
    assert "Stop these mails?" in words(asked)
    assert faults(asked) == []

    mails.send(organization, "low_balance", **facts)
    assert len(mail.outbox) == 2, "opening the link stops nothing: mail scanners open links"
    assert stranger.post(url, {"List-Unsubscribe": "One-Click"}).status_code == 200
    mails.send(organization, "low_balance", **facts)

    assert len(mail.outbox) == 2
    assert 'name="low_balance"' in browser.get(reverse("settings:notifications")).content.decode()
    browser.post(reverse("settings:notifications"), {"low_balance": "on"})
    mails.send(organization, "low_balance", **facts)
    assert len(mail.outbox) == 3


def test_a_link_that_was_changed_stops_nothing(client: Client, organization: Organization) -> None:
    token = mail_choices.token_of(organization.memberships.get(), MailKind.BUDGET)

    answer = client.post(reverse("settings:unsubscribe", args=[f"{token}x"]))

    assert answer.status_code == 404
    assert faults(answer.content.decode()) == []
    assert mail_choices.of(organization.memberships.get())[MailKind.BUDGET]


def test_news_is_for_those_who_asked_and_each_member_chooses_alone(
    browser: Client, organization: Organization, cleo: User
) -> None:
    other = Membership.objects.create(user=cleo, organization=organization, role=Role.OWNER)
    mine = organization.memberships.exclude(pk=other.pk).get()
    assert mail_choices.of(mine)[MailKind.NEWS] is False

    browser.post(reverse("settings:notifications"), {"news": "on"})

    mine, other = (Membership.objects.get(pk=each.pk) for each in (mine, other))
    assert mail_choices.of(mine) == {
        MailKind.LOW_BALANCE: False, MailKind.BUDGET: False, MailKind.PAYMENT: False, MailKind.NEWS: True,
    }  # fmt: skip
    assert mail_choices.of(other)[MailKind.LOW_BALANCE]


def test_stored_responses_are_all_deleted_and_those_of_others_are_not(
    browser: Client, organization: Organization, cleo: User
) -> None:
    strange = cleo.organizations.get()
    keep(organization, 3)
    keep(strange)
    assert "Stored now 3" in words(browser.get(reverse("settings:privacy")).content.decode())

    said = browser.post(reverse("settings:forget-responses"), follow=True).content.decode()

    assert "3 stored responses deleted." in words(said)
    assert [each.organization_id for each in StoredResponse.objects.all()] == [strange.pk]


def test_a_shorter_time_ends_what_is_older_and_holds_for_what_comes(
    browser: Client, organization: Organization
) -> None:
    keep(organization, 2)
    old = StoredResponse.objects.order_by("pk")[0]
    StoredResponse.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=9))

    browser.post(reverse("settings:privacy"), {"days": "7"})

    assert stored_responses.find(organization.pk, old.pk) is None
    StoredResponse.objects.all().delete()
    keep(organization)
    kept = StoredResponse.objects.get()
    assert (kept.expires_at - kept.created_at).days == 7
    assert browser.post(reverse("settings:privacy"), {"days": "999"}).status_code == 422


@pytest.mark.parametrize("count", [10, 10_000])
def test_pages_ask_as_often_for_ten_thousand_stored_responses(
    browser: Client,
    organization: Organization,
    count: int,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    now = timezone.now()
    StoredResponse.objects.bulk_create(
        StoredResponse(
            id=f"resp_{number}", organization=organization, made_by_key="key_1", model="gpt-4o", status="completed",
            created_at=now, expires_at=now + timedelta(days=1), size=10, sealed_body=b"",
        )
        for number in range(count)
    )  # fmt: skip

    for name in PAGES:
        with django_assert_max_num_queries(MOST_QUERIES):
            browser.get(reverse(f"settings:{name}"))
