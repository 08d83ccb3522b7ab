"""Every change that matters leaves an entry that nobody can change, and none of them tells a secret."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import audit, kept_contents, keys, leaving, organizations, people, rotation
from accounts.audit_entry import AuditEntry
from accounts.models import Organization, Plan, User
from fastanchor.lib.ids import new_id


@pytest.fixture
def root(db: None) -> User:
    return people.ensure_verified(email="root@example.com", is_staff=True)


@pytest.fixture
def staff(client: Client, root: User) -> Client:
    client.force_login(root)
    return client


def newest(what: str) -> AuditEntry:
    entry = AuditEntry.objects.filter(what=what).order_by("-pk").first()
    assert entry is not None, [each.what for each in AuditEntry.objects.all()]
    return entry


def test_the_life_of_a_key_is_written_down_and_its_secrets_are_not(
    organization: Organization, ada: User
) -> None:
    key, first = keys.create(organization=organization, name="Laptop", created_by=ada)
    keys.update_limits(key=key, by=ada, requests_per_minute=3)
    second = rotation.rotate(key=key, overlap=timedelta(hours=1), by=ada)
    rotation.end_old_secret(key=key, by=ada)
    keys.revoke(key=key, by=ada)
    keys.revoke(key=key, by=ada)

    entries = list(AuditEntry.objects.filter(subject=f"key {key.pk}").order_by("pk"))
    assert [each.what for each in entries] == [
        "key.created", "key.limited", "key.rotated", "key.old_secret_ended", "key.revoked",
    ]  # fmt: skip
    assert {(each.email, each.organization_id) for each in entries} == {(ada.email, organization.pk)}
    assert entries[1].before == {"requests_per_minute": None}
    assert entries[1].after == {"requests_per_minute": 3}
    told = json.dumps([[each.before, each.after] for each in entries])
    assert first not in told
    assert second not in told
    assert bytes(key.digest).hex() not in told


def test_what_is_rolled_back_was_never_recorded(organization: Organization) -> None:
    with transaction.atomic():
        keys.create(organization=organization, name="Laptop")
        transaction.set_rollback(True)

    assert not AuditEntry.objects.filter(what="key.created").exists()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts_auditentry SET what = 'nothing'",
        "UPDATE accounts_auditentry SET email = 'somebody@example.com'",
        "UPDATE accounts_auditentry SET email = '', address = NULL, user_id = 7",
        "DELETE FROM accounts_auditentry",
        "TRUNCATE accounts_auditentry",
    ],
)
def test_the_database_refuses_to_change_an_entry(ada: User, change: str) -> None:
    entry = audit.record("plan.changed", by=ada)

    with pytest.raises(DatabaseError, match="its rows are only added"), transaction.atomic():
        connection.cursor().execute(change)

    entry.refresh_from_db()
    assert (entry.what, entry.email) == ("plan.changed", ada.email)


def test_the_address_of_who_is_gone_is_taken_out_and_nothing_else(ada: User) -> None:
    entry = audit.record("key.created", by=ada, subject="key key_1")
    address = ada.email

    leaving.anonymise(ada)

    entry.refresh_from_db()
    assert (entry.email, entry.user_id, entry.subject) == ("", ada.pk, "key key_1")
    assert not AuditEntry.objects.filter(email=address).exists()


def test_who_and_from_where_come_from_the_request(
    staff: Client, root: User, organization: Organization
) -> None:
    key, _ = keys.create(organization=organization, name="k")

    staff.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": key.pk, "reason": "Leaked in public"},
        REMOTE_ADDR="192.0.2.9",
    )

    entry = newest("key.revoked")
    assert (entry.email, entry.user_id, entry.address) == (root.email, root.pk, "192.0.2.9")
    assert entry.reason == "Leaked in public"
    assert newest("key.created").email == ""


def test_what_staff_change_in_the_admin_is_there_before_and_after(staff: Client) -> None:
    plan = Plan.objects.get(pk="payg")
    form = {
        "code": "payg", "name": plan.name, "requests_per_minute": 7, "tokens_per_minute": 1_000_000, "concurrency": 200,
        "priority": 10, "signup_credit_nano": 0, "reason": "They grow",
    }  # fmt: skip

    answer = staff.post(reverse("admin:accounts_plan_change", args=["payg"]), form)

    assert answer.status_code == 302
    entry = newest("plan.changed")
    assert entry.subject == "plan payg"
    assert entry.before == {"requests_per_minute": 500}
    assert entry.after == {"requests_per_minute": 7}
    assert entry.reason == "They grow"


def test_a_role_given_in_the_admin_is_there(staff: Client, organization: Organization, ada: User) -> None:
    other = people.ensure_verified(email="ben@example.com")
    [own] = organization.memberships.all()
    form: dict[str, Any] = {
        "name": organization.name, "plan": "free", "is_personal": "on",
        "memberships-TOTAL_FORMS": 2, "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": own.pk, "memberships-0-organization": organization.pk,
        "memberships-0-user": ada.pk, "memberships-0-role": "owner",
        "memberships-1-organization": organization.pk,
        "memberships-1-user": other.pk, "memberships-1-role": "member",
        "reason": "Asked for by mail",
    }  # fmt: skip

    answer = staff.post(reverse("admin:accounts_organization_change", args=[organization.pk]), form)

    assert answer.status_code == 302
    entry = newest("organization.changed")
    assert entry.organization_id == organization.pk
    [row] = entry.after["rows"]
    assert (row["user"], row["role"]) == (other.pk, "member")
    assert "example.com" not in json.dumps([entry.before, entry.after])


def test_plan_contents_and_staff_log_ins_are_there(organization: Organization, ada: User) -> None:
    organizations.change_plan(organization=organization, plan_code="payg", by=ada)
    kept_contents.keep_for(organization, 7, by=ada)
    root = people.ensure_verified(email="root@example.com", password="a long password", is_staff=True)
    Client().post(reverse("account_login"), {"login": root.email, "password": "a long password"})

    assert newest("organization.plan_changed").after == {"plan": "payg"}
    assert newest("organization.contents_kept").before == {"days": 0}
    assert newest("staff.logged_in").user_id == root.pk


def test_nothing_is_recorded_of_a_change_that_changes_nothing(organization: Organization, ada: User) -> None:
    organizations.change_plan(organization=organization, plan_code="free", by=ada)

    assert not AuditEntry.objects.filter(what="organization.plan_changed").exists()


def test_what_is_large_or_secret_is_cut(ada: User) -> None:
    long = audit.record("user.changed", after={"password": "hunter2", "name": "n" * 500})
    many = audit.record("user.changed", after={f"field{number}": "v" * 100 for number in range(100)})
    looks = audit.record(
        "user.changed", subject="key sk-live-abcdefgh", after={"reason": "it was sk-abcdefghij"}
    )

    assert long.after == {"password": "[removed]", "name": "n" * 200 + "…"}
    assert many.after == {"fields": sorted(f"field{number}" for number in range(100))}
    assert (looks.subject, looks.after) == ("key [removed]", {"reason": "it was [removed]"})


def test_passwords_that_staff_type_are_not_in_it(staff: Client, ada: User) -> None:
    new = {
        "email": "ben@example.com",
        "usable_password": "true",
        "password1": "Xq7 long one",
        "password2": "Xq7 long one",
        "reason": "Has no browser",
    }

    staff.post(reverse("admin:accounts_user_add"), new)

    assert newest("user.added").after["email"] == "[removed]"
    told = json.dumps([[each.before, each.after] for each in AuditEntry.objects.all()])
    for secret in ("Xq7", "ben@example.com"):
        assert secret not in told


def test_staff_read_the_log_and_change_nothing_there(staff: Client, ada: User) -> None:
    entry = audit.record("key.created", subject="key key_1", organization_id="org_1", by=ada)
    audit.record("plan.changed", subject="plan payg")
    listed = reverse("admin:accounts_auditentry_changelist")

    page = staff.get(listed, {"q": ada.email}).content.decode()
    assert "key key_1" in page
    assert "plan payg" not in page
    assert "plan payg" in staff.get(listed, {"about": "plan"}).content.decode()
    assert staff.get(reverse("admin:accounts_auditentry_change", args=[entry.pk])).status_code == 200
    assert staff.get(reverse("admin:accounts_auditentry_add")).status_code == 403
    assert staff.post(reverse("admin:accounts_auditentry_change", args=[entry.pk])).status_code == 403
    assert staff.post(reverse("admin:accounts_auditentry_delete", args=[entry.pk])).status_code == 403


def test_a_long_log_is_read_a_page_at_a_time(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(what="key.created", subject=new_id("key")) for _ in range(2_000)
    )

    with django_assert_max_num_queries(12):
        page = staff.get(reverse("admin:accounts_auditentry_changelist"))

    assert page.content.decode().count("key.created") == 50


def test_every_search_of_the_log_goes_by_an_index(db: None) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(
            what="key.created",
            subject=f"key {number}",
            organization_id=f"org_{number}",
            email=f"{number}@example.com",
        )
        for number in range(3_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_auditentry")

    for field in ("subject", "organization_id", "email"):
        plan = AuditEntry.objects.filter(**{field: "key 7"}).order_by("-pk").explain()
        assert "Seq Scan" not in plan, plan
