"""Every address of the admin by every role: what ``fastanchor.staff.roles`` says opens, and nothing else.

The addresses come from the URL map, so a new one is in it by itself; one that is no table's page says in ``NEEDS`` which
permission it wants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from accounts import people
from accounts.models import User
from bench import crowd
from fastanchor.staff import menu, roles
from tests.pages.test_access_matrix import undone
from tests.pages.urlmap import Route, routes
from tests.staff.conftest import NOBODY, ROLES

# Every member of staff opens these, whatever the role.
FOR_ALL = {
    "index",
    "operations-live",
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "jsi18n",
    "view_on_site",
}
# Pages that are no table's own, by the permission that opens them; those of the menu are known by it.
NEEDS = {
    "channel-test": "catalog.change_channel",
    "test-channels": "catalog.change_channel",
    "weigh-channels": "catalog.change_channel",
    "add-price": "catalog.add_price",
    "compare-prices": "catalog.compare_prices",
    "decide-prices": "catalog.decide_priceproposal",
    "drift-download": "catalog.see_drift",
    "retirement-notice": "catalog.send_retirementnotice",
    "retirement-stand-in": "catalog.add_modelalias",
    "money-export": "billing.view_figures",
    "money-month": "billing.view_figures",
    "money-day": "billing.view_figures",
    "money-bill": "billing.view_figures",
    "money-bill-confirm": "billing.upload_bill",
    "money-bill-discard": "billing.upload_bill",
    "customer": "accounts.view_organization",
    "customer-note": "accounts.add_organizationnote",
    "customer-plan": "accounts.change_organization",
    "customer-give": "billing.adjust_wallet",
    "customer-mail": "accounts.mail_organization",
    "customer-log-in-as": "accounts.hijack_user",
    "customer-freeze": "accounts.freeze_organization",
    "customer-unfreeze": "accounts.freeze_organization",
    "customer-revoke": "accounts.change_apikey",
    "customer-refund": "billing.refund_topup",
    "admin:billing_creditproposal_approve": "billing.approve_credit",
    "admin:billing_creditproposal_decline": "billing.approve_credit",
    "admin:billing_wallet_give": "billing.adjust_wallet",
    "admin:billing_wallet_take": "billing.adjust_wallet",
    "admin:billing_dispute_write_off": "billing.write_off_dispute",
    "admin:billing_item_book": "billing.close_reconciliationitem",
    "admin:billing_item_credit": "billing.close_reconciliationitem",
    "admin:billing_item_explain": "billing.close_reconciliationitem",
}
# By what the path of such a page names a row.
ROWS = {
    "channel_id": "catalog.Channel",
    "key_id": "accounts.ApiKey",
    "model_id": "catalog.CatalogModel",
    "org_id": "accounts.Organization",
    "organization_id": "accounts.Organization",
    "top_up_id": "billing.TopUp",
}
# What is no row of a table that has a list.
WORDS = {"file_id": "1", "month": "2026-11", "day": "2026-11-30"}
# These answer by what is asked in their query, or lead on to another page; they show nothing themselves.
ELSEWHERE = {"admin:autocomplete", "admin:app_list"}
# Only whoever proposed it withdraws it: tests/staff/test_credit_proposals.py.
ELSEWHERE |= {"admin:billing_creditproposal_withdraw"}
_PAGE = re.compile(r"admin:(?P<table>\w+)_(?P<page>changelist|add|history|delete|change)$")
_OF_ITEMS = {"admin:billing_item": "billing_reconciliationitem"}
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Page:
    """One address with what opens it: any of these permissions, for reading and for writing."""

    name: str
    path: str
    read_by: frozenset[str]
    written_by: frozenset[str] | None
    """None where a post writes nothing: what lists do by one is shown beside, action by action."""

    def tries(self) -> Iterator[tuple[str, frozenset[str]]]:
        yield "GET", self.read_by
        if self.written_by is not None:
            yield "POST", self.written_by


def tables() -> dict[str, type[Model]]:
    return {f"{each._meta.app_label}_{each._meta.model_name}": each for each in admin.site._registry}


def first(model: type[Model]) -> str:
    row = admin.site._registry[model].get_queryset(as_superuser()).order_by("pk").first()
    assert row is not None, f"bench.crowd leaves {model._meta.label} empty"
    return str(quote(row.pk))


def as_superuser() -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True)
    return request


def pages() -> Iterator[Page]:
    """Yield every named address of the admin that somebody has to be permitted to open."""
    of_menu = {page.url_name: page.permission for section in menu.SECTIONS for page in section.pages}
    for route in routes():
        if not route.template.startswith("/admin/") or not route.name.removeprefix("admin:"):
            continue
        if route.name in ELSEWHERE or route.name.removeprefix("admin:") in FOR_ALL:
            continue
        found = _PAGE.match(route.name)
        if found and found["table"] in tables():
            yield of_table(route, tables()[found["table"]], found["page"])
            continue
        needed = NEEDS.get(route.name) or of_menu.get(route.name)
        assert needed, f"Say in NEEDS which permission opens {route.name}."
        yield Page(route.name, path_of(route), frozenset({needed}), frozenset({needed}))


def path_of(route: Route) -> str:
    """Return the path of a page that is no table's own, at a row that is there."""
    known = {model._meta.label: model for model in admin.site._registry}
    table = next((name for name in tables() if route.name.startswith(f"admin:{name}_")), None)
    table = next((of for begin, of in _OF_ITEMS.items() if route.name.startswith(begin)), table)
    given = {
        name: WORDS.get(name) or first(known[ROWS[name]] if name in ROWS else tables()[table or ""])
        for name in route.parameters
    }
    return route.template.format(**given)


def of_table(route: Route, model: type[Model], page: str) -> Page:
    """Return a page of a table: what opens it is the table's permission, unless it is refused to everybody."""
    may = admin.site._registry[model]
    request, label = as_superuser(), model._meta.app_label
    view, change, add, delete = (
        frozenset({f"{label}.{verb}_{model._meta.model_name}"})
        for verb in ("view", "change", "add", "delete")
    )
    nobody: frozenset[str] = frozenset()
    changeable = change if may.has_change_permission(request) else nobody
    addable = add if may.has_add_permission(request) else nobody
    deletable = delete if may.has_delete_permission(request) else nobody
    readable = view | changeable
    by: dict[str, tuple[frozenset[str], frozenset[str] | None]] = {
        "changelist": (readable, None),
        "history": (readable, None),
        "add": (addable, addable),
        "delete": (deletable, deletable),
        "change": (readable, changeable),
    }
    path = route.template.format(**dict.fromkeys(route.parameters, first(model) if route.parameters else ""))
    return Page(route.name, path, *by[page])


@pytest.fixture
def crowded(db: None) -> None:
    """Let every table have rows."""
    crowd.the_rest(2, with_the_crowd=True)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_what_its_permissions_say_and_nothing_else(
    crowded: None, desk: Callable[[str], Client], role: str
) -> None:
    known = list(pages())
    browser = desk(role)
    held = roles.permissions_of(role) if role != NOBODY else set()

    wrong = []
    for page in known:
        for method, needed in page.tries():
            with undone():
                status = browser.generic(method, page.path).status_code
            # 405 comes before anybody is asked who they are.
            is_wrong = status != 405 and (status != 403) is not bool(held & needed)
            if is_wrong or status >= 500:
                wrong.append(f"{method} {page.path}: {status}, opened by {sorted(needed)}")

    assert len(known) > 120
    assert wrong == []


def test_who_has_no_role_opens_the_index_and_finds_nothing_there(desk: Callable[[str], Client]) -> None:
    page = desk(NOBODY).get(reverse("admin:index"))

    assert page.status_code == 200
    assert "Ask an owner for a role; until then there is nothing to open here." in page.content.decode()
    assert "<details" not in page.content.decode().partition("<nav")[2].partition("</nav>")[0]


def test_every_action_of_a_list_says_who_may_do_it() -> None:
    known: dict[type[Model], Any] = dict(admin.site._registry)
    open_to_readers = [
        f"{model._meta.label}: {name}"
        for model, table in known.items()
        for func, name, _ in table._get_base_actions()
        if not getattr(func, "allowed_permissions", None)
    ]

    assert open_to_readers == []


@pytest.mark.parametrize("role", ROLES)
def test_nobody_enters_without_a_second_factor(
    desk: Callable[[str], Client], settings: Settings, role: str
) -> None:
    settings.STAFF_SECOND_FACTOR = True

    assert desk(role).get(reverse("admin:index"))["Location"] == reverse("mfa_index")


# Who makes whom staff.


def change(browser: Client, user: User, **given: object) -> int:
    page = reverse("admin:accounts_user_change", args=[user.pk])
    return browser.post(page, {"is_active": "on", "reason": "Because", **given}).status_code


def rights(user: User) -> tuple[bool, bool, list[str]]:
    fresh = User.objects.get(pk=user.pk)
    return fresh.is_staff, fresh.is_superuser, sorted(fresh.groups.values_list("name", flat=True))


def everything() -> dict[str, object]:
    from django.contrib.auth.models import Group  # noqa: PLC0415 - needed by this one alone

    groups = list(Group.objects.values_list("pk", flat=True))
    return {"is_staff": "on", "is_superuser": "on", "groups": groups, "user_permissions": [1, 2, 3]}


@pytest.mark.parametrize("role", ROLES)
def test_nobody_raises_themselves(
    desk: Callable[[str], Client], member_of_staff: Callable[[str], User], role: str
) -> None:
    browser, oneself = desk(role), member_of_staff(role)
    before = rights(oneself)

    change(browser, oneself, **everything())

    assert rights(oneself) == before
    assert not oneself.user_permissions.exists()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "owner"])
def test_only_owners_make_somebody_staff(desk: Callable[[str], Client], role: str) -> None:
    ada = people.ensure_verified(email="ada@example.com")

    change(desk(role), ada, **everything())

    assert rights(ada) == (False, False, [])


def test_an_owner_gives_roles_and_never_makes_a_superuser(desk: Callable[[str], Client]) -> None:
    ada = people.ensure_verified(email="ada@example.com")

    assert change(desk("owner"), ada, **everything()) == 302

    assert rights(ada) == (True, False, sorted(roles.ROLES))
    assert not ada.user_permissions.exists()


@pytest.mark.parametrize("other", ["owner", "support", "finance"])
def test_support_touches_no_account_of_staff(
    desk: Callable[[str], Client], member_of_staff: Callable[[str], User], other: str
) -> None:
    from allauth.mfa.models import Authenticator  # noqa: PLC0415 - needed by this one alone

    browser, colleague = desk("support"), member_of_staff(other)
    factor = Authenticator.objects.create(user=colleague, type="totp", data={})
    delete = reverse("admin:mfa_authenticator_delete", args=[factor.pk])

    assert change(browser, colleague, is_active="") == 403
    assert browser.post(delete, {"post": "yes", "reason": "Lost"}).status_code == 403
    browser.post(
        reverse("admin:mfa_authenticator_changelist"),
        {"action": "delete_selected", "_selected_action": factor.pk, "post": "yes", "reason": "Lost"},
    )

    assert Authenticator.objects.filter(pk=factor.pk).exists()
    assert User.objects.get(pk=colleague.pk).is_active


def test_an_owner_touches_no_superuser(desk: Callable[[str], Client]) -> None:
    root = people.ensure_verified(email="root@example.com", is_staff=True)

    assert change(desk("owner"), root, is_active="") == 403


def test_nobody_sets_another_s_password(client: Client) -> None:
    ada = people.ensure_verified(email="ada@example.com", password="a long password of ada")
    client.force_login(people.ensure_verified(email="root@example.com", is_staff=True))

    new = {"usable_password": "true", "password1": "another of ada's", "password2": "another of ada's"}
    client.post(f"/admin/accounts/user/{ada.pk}/password/", {**new, "reason": "Asked for"})
    change(client, ada, **new, password="another of ada's")

    ada.refresh_from_db()
    assert ada.check_password("a long password of ada")
    page = client.get(reverse("admin:accounts_user_change", args=[ada.pk])).content.decode()
    assert "password" not in page.split("<form")[1].lower()
