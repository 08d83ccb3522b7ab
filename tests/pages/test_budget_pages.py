"""The pages on which budgets are seen and set."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import budgets, keys
from accounts.models import ApiKey, Membership, Organization, Role, User
from billing import tasks
from billing.settlement import settle_batch
from fastanchor.lib.money import NANOS_PER_USD
from tests.billing.cast import usage
from tests.pages.markup import faults, words


def spend(organization: Organization, dollars: int, *, key: ApiKey) -> None:
    nano = dollars * NANOS_PER_USD
    now = int(datetime.now(UTC).timestamp() * 1_000)
    used = usage(
        organization,
        key_id=key.pk,
        cost_nano=nano,
        cost_picos=nano * 1_000,
        hold_nano=nano,
        started_at_ms=now,
    )
    settle_batch([used])


def shown(browser: Client, name: str = "billing:budgets", *arguments: str) -> str:
    html = browser.get(reverse(name, args=arguments)).content.decode()
    assert faults(html) == []
    return words(html)


def test_without_a_budget_the_page_tells_what_was_spent(browser: Client, organization: Organization) -> None:
    page = shown(browser)

    for window in ("Daily", "Weekly", "Monthly", "Lifetime"):
        assert len(re.findall(rf"{window} \$0\.00 no budget", page)) == 2
    assert "ada@example.com Owner" in page


def test_an_owner_sets_the_budgets_of_the_organization_and_sees_what_is_spent(
    browser: Client, organization: Organization, ada: User
) -> None:
    key, _ = keys.create(organization=organization, name="Laptop", created_by=ada)
    spend(organization, 4, key=key)

    answer = browser.post(
        reverse("billing:set-organization-budgets"),
        {
            "organization-budget_day": "5",
            "organization-budget_total": "4.00",
            "organization-budget_week": "100",
        },
        follow=True,
    )

    page = words(answer.content.decode())
    assert "Saved. It holds within a second." in page
    assert "Daily $4.00 $5.00 $1.00 80 % 80 % at 00:00 UTC" in page
    assert "Lifetime $4.00 $4.00 $0.00 100 % 100 % used up never" in page
    assert re.search(r"Weekly \$4\.00 \$100\.00 \$96\.00 4 % 4 % on Monday, \d", page)
    assert "Monthly $4.00 no budget" in page
    organization.refresh_from_db()
    assert organization.budget_day_nano == 5 * NANOS_PER_USD
    assert organization.budget_month_nano is None


def test_an_owner_sets_the_budgets_of_a_member_and_takes_them_away(
    browser: Client, organization: Organization, cleo: User
) -> None:
    member = Membership.objects.create(user=cleo, organization=organization)
    path = reverse("billing:set-member-budgets", args=[member.pk])
    prefix = f"member-{member.pk}"

    browser.post(path, {f"{prefix}-budget_month": "12.34"})
    member.refresh_from_db()
    assert member.budgets == {"month": 12_340_000_000}
    key, _ = keys.create(organization=organization, name="k", created_by=cleo)
    assert budgets.in_force(key) == ((f"user_{cleo.pk}", "month", 12_340_000_000), f"user_{cleo.pk}")
    assert "12.34" in browser.get(reverse("billing:budgets")).content.decode()

    browser.post(path, {f"{prefix}-budget_month": ""})
    member.refresh_from_db()
    assert member.budgets == {}


@pytest.mark.parametrize("value", ["-1", "0.001", "ten", "1e12"])
def test_what_is_no_budget_is_refused_at_its_field_and_the_rest_of_the_page_stands(
    browser: Client, organization: Organization, value: str
) -> None:
    member = organization.memberships.get()
    response = browser.post(
        reverse("billing:set-member-budgets", args=[member.pk]), {f"member-{member.pk}-budget_day": value}
    )

    html = response.content.decode()
    assert response.status_code == 422
    assert faults(html) == []
    assert 'aria-invalid="true"' in html
    assert html.count('<details class="more" open>') == 1
    member.refresh_from_db()
    assert member.budgets == {}


def test_only_owners_change_budgets(
    browser: Client, organization: Organization, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = Membership.objects.get(user=ada)
    Membership.objects.filter(pk=member.pk).update(role=Role.MEMBER)
    monkeypatch.setattr("accounts.organizations.of_user", lambda user: organization)

    page = browser.get(reverse("billing:budgets")).content.decode()
    answers = [
        browser.post(reverse("billing:set-organization-budgets"), {"organization-budget_day": "5"}),
        browser.post(
            reverse("billing:set-member-budgets", args=[member.pk]), {f"member-{member.pk}-budget_day": "5"}
        ),
    ]

    assert "Only owners change budgets." in page
    assert reverse("billing:set-organization-budgets") not in page
    assert [answer.status_code for answer in answers] == [403, 403]
    organization.refresh_from_db()
    member.refresh_from_db()
    assert organization.budgets == member.budgets == {}


def test_a_key_has_a_page_of_its_budgets(browser: Client, organization: Organization, key: ApiKey) -> None:
    spend(organization, 2, key=key)
    path = reverse("billing:key-budgets", args=[key.pk])
    assert path in browser.get(reverse("accounts:keys")).content.decode()

    browser.post(path, {"key-budget_day": "8", "key-budget_month": "0"})

    key.refresh_from_db()
    assert key.budgets == {"day": 8 * NANOS_PER_USD, "month": 0}
    page = shown(browser, "billing:key-budgets", key.pk)
    assert "Daily $2.00 $8.00 $6.00 25 % 25 % at 00:00 UTC" in page
    assert "Monthly $2.00 $0.00 $0.00 100 % 100 % used up on 1 " in page
    assert browser.post(path, {"key-budget_day": "x"}).status_code == 422
    key.refresh_from_db()
    assert key.budgets == {"day": 8 * NANOS_PER_USD, "month": 0}


def test_a_revoked_key_shows_what_it_has_spent_and_changes_no_more(
    browser: Client, organization: Organization, key: ApiKey, ada: User
) -> None:
    spend(organization, 2, key=key)
    keys.revoke(key=key, by=ada)

    page = shown(browser, "billing:key-budgets", key.pk)
    browser.post(reverse("billing:key-budgets", args=[key.pk]), {"key-budget_day": "8"})

    assert "Daily $2.00 no budget" in page
    assert "Change the budgets" not in page
    key.refresh_from_db()
    assert key.budgets == {}


def test_many_members_come_in_pages_and_are_read_in_few_queries(
    browser: Client, organization: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        user = User.objects.create_user(f"member{number}@example.org")
        Membership.objects.create(user=user, organization=organization)

    with django_assert_max_num_queries(10):
        first = shown(browser)
    second = words(browser.get(reverse("billing:budgets"), {"page": "2"}).content.decode())

    assert "member18@example.org" in first
    assert "member19@example.org" not in first
    assert "member29@example.org" in second


def test_staff_see_what_was_spent_and_who_was_told(
    client: Client, organization: Organization, key: ApiKey
) -> None:
    Organization.objects.filter(pk=organization.pk).update(budget_day_nano=2 * NANOS_PER_USD)
    spend(organization, 2, key=key)
    tasks.mail_about_budgets()
    client.force_login(User.objects.create_superuser("staff@example.com"))

    spent = words(client.get(reverse("admin:billing_spend_changelist")).content.decode())
    told = words(client.get(reverse("admin:billing_budgetalert_changelist")).content.decode())
    shown = client.get(reverse("admin:accounts_organization_change", args=[organization.pk])).content.decode()

    assert spent.count("2.000000000") == 4
    assert f"{organization.pk} {organization.name} day" in told
    assert 'name="budget_day_nano" value="2000000000"' in shown
    assert "memberships-0-budget_week_nano" in shown
