"""The administration in a real browser: axe finds nothing, no page is too wide, the browser has no complaint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page, Route
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts import people
from accounts.notice_tables import Notice
from catalog.models import Channel, Incident, Provider
from tests.pages.audit import axe_source, judged
from tests.pages.browser import needed_browser, open_browser
from tests.pages.screenshots import THEMES
from tests.staff.conftest import Hire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def session(hire: Hire, client: Client, settings: Settings) -> str:
    """Return the cookie of a superuser, who sees everything, and leave something to be seen."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    provider = Provider.objects.create(pk="openai", name="OpenAI")
    Channel.objects.create(provider=provider, name="east", base_url="https://api.openai.com/v1")
    Incident.objects.create(title="Slow answers", impact="degraded").updates.create(
        state="investigating", body="We look."
    )
    Notice.objects.create(title="News of today")
    client.force_login(people.ensure_verified(email="chief@staff.example", is_staff=True))
    return client.cookies["sessionid"].value


@contextmanager
def member(browser: Browser, server: LiveServer, session: str) -> Iterator[tuple[Page, list[str]]]:
    """Give a page of somebody logged in, and what the browser complains about."""
    context = browser.new_context(base_url=server.url)
    context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"{page.url} {error}"))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    # A server of threads has none to spare for a stream without end.
    page.route("**/admin/live/", _without_content)
    yield page, complaints
    context.close()


def _without_content(route: Route) -> None:
    route.fulfill(status=204)


def pages() -> list[str]:
    incident = Incident.objects.get()
    return [
        reverse("admin:index"),
        reverse("channels-now"),
        reverse("admin:catalog_incident_changelist"),
        reverse("admin:catalog_incident_change", args=[incident.pk]),
        reverse("admin:catalog_incident_delete", args=[incident.pk]),
    ]


def test_axe_finds_nothing_and_nothing_is_too_wide(live_server: LiveServer, session: str) -> None:
    axe, paths, faults = axe_source(), pages(), []

    with (
        open_browser(needed_browser()) as browser,
        member(browser, live_server, session) as (page, complaints),
    ):
        for path in paths:
            page.set_viewport_size({"width": 1440, "height": 900})
            answer = page.goto(path, wait_until="load")
            assert (answer and answer.status) == 200, path
            for theme in THEMES:
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                faults += [f"{path} {theme} {fault}" for fault in judged(page, axe)]
            page.set_viewport_size({"width": 390, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            faults += [f"{path} is {wide} wide on a phone"] if wide > 390 else []

    assert not faults, "\n".join(faults)
    assert not complaints, "\n".join(complaints)


def test_on_a_phone_the_menu_is_opened_by_keyboard_and_leads_on(
    live_server: LiveServer, session: str
) -> None:
    with open_browser(needed_browser()) as browser, member(browser, live_server, session) as (page, _):
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto("/admin/")
        menu = page.get_by_role("navigation", name="Administration")
        assert not menu.is_visible()

        page.get_by_role("button", name="Menu").press("Enter")
        menu.get_by_role("link", name="Incidents").press("Enter")

        page.wait_for_url(f"**{reverse('admin:catalog_incident_changelist')}")
        assert page.get_by_role("link", name="Slow answers").is_visible()
