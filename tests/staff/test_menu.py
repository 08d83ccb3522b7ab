"""The menu of the administration leads its reader to all that they may open, and to nothing else."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from fastanchor.staff import menu
from tests.staff.conftest import Hire

pytestmark = pytest.mark.django_db


def links(client: Client, user: User, path: str) -> dict[str, bool]:
    """Return what the menu leads to, and whether it is marked as the present page."""
    client.force_login(user)
    page = client.get(path).content.decode()
    nav = page.split('id="staff-menu"')[1].split("</nav>")[0]
    return {
        href: bool(mark)
        for href, mark in re.findall(
            r'<a class="staff-menu-link" href="([^"]+)"( aria-current="page")?>', nav
        )
    }


def test_every_table_of_the_administration_has_its_line() -> None:
    lines = {page.url_name for section in menu.SECTIONS for page in section.pages}

    for model in admin.site._registry:
        assert f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" in lines


def test_a_member_is_led_to_what_the_role_may_open_and_nowhere_else(client: Client, hire: Hire) -> None:
    ops = hire("operations")

    shown = links(client, ops, reverse("admin:index"))

    assert {reverse("channels-now"), reverse("admin:catalog_incident_changelist")} <= shown.keys()
    assert reverse("admin:billing_wallet_changelist") not in shown
    assert {path: client.get(path).status_code for path in shown} == dict.fromkeys(shown, 200)


def test_the_present_page_is_marked_on_it_and_below_it(client: Client, hire: Hire) -> None:
    owner = hire("owner")
    changelist = reverse("admin:catalog_incident_changelist")

    for path in (changelist, reverse("admin:catalog_incident_add")):
        assert [each for each, is_current in links(client, owner, path).items() if is_current] == [changelist]


def test_no_page_holds_a_script_or_a_style_of_its_own(client: Client, hire: Hire) -> None:
    client.force_login(hire("owner"))

    for name in (
        "admin:index",
        "channels-now",
        "admin:accounts_user_changelist",
        "admin:catalog_incident_add",
    ):
        page = client.get(reverse(name)).content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page), name


@pytest.mark.parametrize("theme", ["light", "dark", ""])
def test_the_theme_chosen_on_the_site_holds_here_too(client: Client, hire: Hire, theme: str) -> None:
    client.force_login(hire("owner"))
    client.cookies["theme"] = theme or "neon"

    page = client.get(reverse("admin:index")).content.decode()

    assert (f'data-theme="{theme}"' in page) if theme else ("<html" in page and "data-theme=" not in page)
