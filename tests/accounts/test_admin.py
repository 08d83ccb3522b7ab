from __future__ import annotations

import os

import pytest
import redis
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts import keys, people
from accounts.models import ApiKey, Organization, Plan, User


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(people.ensure_verified(email="staff@example.com", is_staff=True))
    return client


def announced() -> int:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return int(client.get("fa:changes:keys") or 0)


@pytest.mark.parametrize("table", ["user", "plan", "organization", "apikey"])
def test_staff_see_every_table(staff: Client, organization: Organization, table: str) -> None:
    keys.create(organization=organization, name="k")

    assert staff.get(reverse(f"admin:accounts_{table}_changelist")).status_code == 200


def test_the_admin_s_login_is_everybody_s_login(client: Client, ada: User) -> None:
    assert client.get(reverse("admin:login"))["Location"].startswith(reverse("account_login"))

    client.force_login(ada)

    assert client.get(reverse("admin:login")).status_code == 403


def test_staff_revoke_keys_but_neither_see_digests_nor_make_edit_or_delete_keys(
    staff: Client, organization: Organization
) -> None:
    key, _ = keys.create(organization=organization, name="k")

    page = staff.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()
    assert bytes(key.digest).hex() not in page
    assert "digest" not in page.lower()
    assert staff.get(reverse("admin:accounts_apikey_add")).status_code == 403
    assert staff.post(reverse("admin:accounts_apikey_change", args=[key.pk]), {}).status_code == 403
    assert staff.get(reverse("admin:accounts_apikey_delete", args=[key.pk])).status_code == 403
    staff.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": key.pk, "reason": "Leaked"},
    )

    assert ApiKey.objects.get().revoked_at is not None


@pytest.mark.django_db(transaction=True)
def test_changed_limits_of_a_plan_or_an_organization_are_announced(
    staff: Client, organization: Organization
) -> None:
    plan = reverse("admin:accounts_plan_change", args=["free"])
    fields = staff.get(plan).context["adminform"].form.initial
    response = staff.post(plan, {**fields, "requests_per_minute": 9, "is_custom": "", "reason": "Busy"})
    assert (response.status_code, announced()) == (302, 1)
    assert Plan.objects.get(code="free").requests_per_minute == 9

    response = staff.post(
        reverse("admin:accounts_organization_change", args=[organization.pk]),
        {
            "name": "Ada",
            "plan": "payg",
            "concurrency": "7",
            "memberships-TOTAL_FORMS": 0,
            "memberships-INITIAL_FORMS": 0,
            "reason": "Asked for it",
        },
    )

    assert (response.status_code, announced()) == (302, 2)
    changed = Organization.objects.get(pk=organization.pk)
    assert (changed.plan_id, changed.concurrency) == ("payg", 7)


def test_plain_staff_cannot_make_themselves_superusers(client: Client, db: None) -> None:
    user = people.ensure_verified(email="staff@example.com", is_staff=True)
    user.is_superuser = False
    user.save()
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    client.force_login(user)

    client.post(
        reverse("admin:accounts_user_change", args=[user.pk]),
        {"is_active": "on", "is_superuser": "on", "reason": "Why not"},
    )

    user.refresh_from_db()
    assert not user.is_superuser
    assert user.is_active


def test_a_user_made_by_staff_logs_in_by_address(staff: Client) -> None:
    response = staff.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "New@Example.com",
            "usable_password": "true",
            "password1": "correct horse battery",
            "password2": "correct horse battery",
            "reason": "Has no browser",
        },
    )

    assert response.status_code == 302
    assert User.objects.get(email="new@example.com").check_password("correct horse battery")


def test_the_code_of_a_plan_stays(staff: Client) -> None:
    codes = set(Plan.objects.values_list("code", flat=True))

    response = staff.post(
        "/admin/accounts/plan/free/change/",
        {
            "code": "gratis", "name": "Free", "requests_per_minute": 6, "tokens_per_minute": 1, "concurrency": 1,
            "priority": 0, "signup_credit_nano": 0, "reason": "Too many",
        },
    )  # fmt: skip

    assert response.status_code == 302
    assert set(Plan.objects.values_list("code", flat=True)) == codes
    assert Plan.objects.get(code="free").requests_per_minute == 6
