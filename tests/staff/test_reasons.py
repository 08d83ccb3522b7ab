"""Whatever staff change, add, delete or do to a list leaves one entry: who, what was there, what is there, and why.

Made from the admin site itself, so a new table is in it; without a reason nothing happens at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts import audit, people
from accounts.audit_admin import Audited
from accounts.audit_entry import AuditEntry
from accounts.models import Plan, User
from bench import crowd
from tests.staff.forms import filled
from tests.staff.test_role_matrix import as_superuser

WHY = "Ticket 4711"
# Asks Stripe, and is shown where there is one: tests/billing/stripe.
ASKS_STRIPE = {"billing.TopUp"}
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.fixture
def root(db: None) -> User:
    return people.ensure_verified(email="root@example.com", is_staff=True)


@pytest.fixture
def desk(client: Client, root: User) -> Client:
    """Return the browser of a superuser, with rows in every table."""
    call_command("load_catalog")
    crowd.the_rest(2, with_the_crowd=True)
    client.force_login(root)
    return client


def tables_with(verb: str) -> list[Any]:
    """Return the tables of which somebody may do something, as test parameters."""
    found = [
        model
        for model, table in admin.site._registry.items()
        if getattr(table, f"has_{verb}_permission")(as_superuser())
    ]
    return [pytest.param(model, id=model._meta.label) for model in found]


def tables_with_actions() -> list[Any]:
    found = [
        (model, name)
        for model, table in admin.site._registry.items()
        for name in table.get_actions(as_superuser())
        if model._meta.label not in ASKS_STRIPE
    ]
    return [pytest.param(*each, id=f"{each[0]._meta.label}-{each[1]}") for each in found]


def address(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def row_of(model: type[Model]) -> Model:
    rows: Any = admin.site._registry[model].get_queryset(as_superuser()).order_by("pk")
    row: Model | None = rows.exclude(pk=1).first() if model is User else rows.first()
    assert row is not None
    return row


def fresh_row_of(model: type[Model]) -> Model:
    """Return a row to which no other refers yet."""
    rows: Any = admin.site._registry[model].get_queryset(as_superuser())
    known = set(rows.values_list("pk", flat=True))
    crowd.fill(model, 1)
    # Of some, each person has one at most.
    row: Model | None = rows.exclude(pk__in=known).first()
    return row or row_of(model)


def changed(form: dict[str, Any]) -> dict[str, Any]:
    """Return a form in which one of the row's own words is another."""
    name = next(each for each in ("name", "title", "subject", "text", "body", "note") if each in form)
    return {**form, name: f"Renamed {form[name]}"[:60]}


def entries_of(act: Callable[[], Any]) -> tuple[Any, list[AuditEntry]]:
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    answer = act()
    return answer, list(AuditEntry.objects.exclude(pk__in=before).order_by("pk"))


def test_every_table_that_staff_can_change_is_audited() -> None:
    verbs = ("add", "change", "delete")
    silent = [
        model._meta.label
        for model, table in admin.site._registry.items()
        if not isinstance(table, Audited)
        and (
            any(getattr(table, f"has_{verb}_permission")(as_superuser()) for verb in verbs)
            or table.get_actions(as_superuser())
        )
    ]

    assert silent == []


@pytest.mark.parametrize("model", tables_with("change"))
def test_a_change_needs_a_reason_and_leaves_one_entry(desk: Client, root: User, model: type[Model]) -> None:
    page = address(model, "change", quote(row_of(model).pk))
    form = changed(filled(desk.get(page).content.decode()))

    refused, none = entries_of(lambda: desk.post(page, {**form, "reason": " "}))
    answer, entries = entries_of(lambda: desk.post(page, {**form, "reason": WHY}))

    assert "reason" in refused.context["adminform"].form.errors
    assert none == []
    assert answer.status_code == 302, answer.context["errors"]
    [entry] = entries
    assert (entry.user_id, entry.email, entry.reason) == (root.pk, root.email, WHY)
    assert entry.before
    assert entry.before.keys() == entry.after.keys()
    assert "reason" not in entry.after


@pytest.mark.parametrize("model", tables_with("add"))
def test_who_adds_something_is_asked_why(desk: Client, model: type[Model]) -> None:
    page = address(model, "add")

    answer, entries = entries_of(
        lambda: desk.post(page, {**filled(desk.get(page).content.decode()), "reason": ""})
    )

    assert "reason" in answer.context["adminform"].form.errors
    assert entries == []


@pytest.mark.parametrize("model", tables_with("delete"))
def test_a_deletion_needs_a_reason_and_leaves_one_entry_with_what_was_there(
    desk: Client, root: User, model: type[Model]
) -> None:
    row = fresh_row_of(model)
    page = address(model, "delete", quote(row.pk))

    _, none = entries_of(lambda: desk.post(page, {"post": "yes"}))
    assert model._default_manager.filter(pk=row.pk).exists()
    _, entries = entries_of(lambda: desk.post(page, {"post": "yes", "reason": WHY}))

    assert none == []
    assert not model._default_manager.filter(pk=row.pk).exists()
    [entry] = entries
    assert (entry.user_id, entry.reason, entry.after) == (root.pk, WHY, {})
    assert entry.before


@pytest.mark.parametrize(("model", "action"), tables_with_actions())
def test_an_action_needs_a_reason_and_leaves_one_entry(
    desk: Client, root: User, model: type[Model], action: str
) -> None:
    page = address(model, "changelist")
    form = {"action": action, "_selected_action": fresh_row_of(model).pk, "post": "yes"}

    _, none = entries_of(lambda: desk.post(page, form))
    answer, entries = entries_of(lambda: desk.post(page, {**form, "reason": WHY}))

    assert none == []
    assert answer.status_code == 302
    [entry] = entries
    assert (entry.user_id, entry.reason) == (root.pk, WHY)


def test_the_page_of_a_deletion_asks_for_the_reason(desk: Client) -> None:
    page = desk.get(reverse("admin:mfa_authenticator_delete", args=[row_of_factor()])).content.decode()
    chosen = {"action": "delete_selected", "_selected_action": row_of_factor()}
    listed = desk.post(reverse("admin:mfa_authenticator_changelist"), chosen).content.decode()

    for shown in (page, listed):
        assert filled(shown)["reason"] == ""
        assert filled(shown)["post"] == "yes"


def row_of_factor() -> Any:
    return row_of(Authenticator).pk


def test_a_function_that_is_called_meanwhile_tells_the_reason_and_later_ones_do_not() -> None:
    with audit.because("Asked for by mail"):
        inside = audit.record("plan.changed")
        own = audit.record("plan.changed", reason="Its own")
    after = audit.record("plan.changed")

    assert (inside.reason, own.reason, after.reason) == ("Asked for by mail", "Its own", "")


def test_the_log_shows_the_reason_and_keeps_secrets_out_of_it(client: Client, root: User) -> None:
    plan = Plan.objects.get(pk="payg")
    client.force_login(root)
    page = reverse("admin:accounts_plan_change", args=[plan.pk])
    form = filled(client.get(page).content.decode())

    client.post(page, {**form, "concurrency": 7, "reason": "They pasted sk-abcdefghij"})

    shown = client.get(reverse("admin:accounts_auditentry_changelist")).content.decode()
    assert "They pasted [removed]" in shown
    assert "sk-abcdefghij" not in shown
