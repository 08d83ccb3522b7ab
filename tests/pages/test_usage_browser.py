"""The usage page in a real browser: the chart is drawn from the table, filters and keyboard work, also without script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts import keys, organizations, people
from tests.pages.browser import needed_browser, open_browser
from tests.pages.usage import serve

pytestmark = pytest.mark.django_db(transaction=True)

# The colour of the first series, as the canvas shows it somewhere.
_IS_DRAWN = """canvas => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const swatch = getComputedStyle(document.querySelector(".swatch.is-series-1")).backgroundColor;
  const [red, green, blue] = swatch.match(/\\d+/g).map(Number);
  let found = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    found += pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue && pixels[at + 3] === 255;
  }
  return found;
}"""


@pytest.fixture
def cookie(client: Client, transactional_db: None) -> str:
    """Return the session of ada, who has used two models with two keys just now."""
    ada = people.ensure_verified(email="ada@example.com")
    organization = organizations.of_user(ada)
    for name, model, cost in (("Laptop", "gpt-4o", 3_000_000), ("CI", "qwen-3.7-max", 1_000_000)):
        key, _ = keys.create(organization=organization, name=name, created_by=ada)
        serve(organization, key, model_id=model, cost_nano=cost, cost_picos=cost * 1_000)
    client.force_login(ada)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@contextmanager
def opened(browser: Browser, url: str, cookie: str, *, has_script: bool = True) -> Iterator[Page]:
    """Open a page as ada; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = browser.new_context(base_url=url, color_scheme="light", java_script_enabled=has_script)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def test_the_chart_is_the_table_and_the_page_works_by_keyboard_and_without_script(
    cookie: str, live_server: LiveServer
) -> None:
    with open_browser(needed_browser()) as browser:
        with opened(browser, live_server.url, cookie) as page:
            page.goto("/dashboard/usage/?group=model&range=7d")
            chart_and_table_agree(page)
            filter_by_keyboard(page)
            open_table_by_keyboard(page)
        with opened(browser, live_server.url, cookie, has_script=False) as page:
            page.goto("/dashboard/usage/?group=key&range=7d")
            expect(page.locator("canvas")).to_be_hidden()
            expect(page.locator("#usage-table tfoot")).to_contain_text("$0.0040")
            page.get_by_role("link", name="Laptop", exact=True).click()
            expect(page.get_by_label("API key")).to_have_value(
                page.url.partition("key=")[2].partition("&")[0]
            )


def chart_and_table_agree(page: Page) -> None:
    """The chart has a colour for each model, and their values are what the table says."""
    canvas = page.locator("#usage-canvas canvas")
    expect(canvas).to_have_attribute("data-drawn", "2")
    assert canvas.evaluate(_IS_DRAWN) > 50
    drawn = page.evaluate(
        "Chart.getChart(document.querySelector('canvas')).data.datasets.map(d => [d.label, d.data.at(-1)])"
    )
    assert drawn == [["gpt-4o", 3_000_000], ["qwen-3.7-max", 1_000_000]]
    rows = page.locator("#usage-table tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("gpt-4o")
    expect(rows.first).to_contain_text("$0.0030")
    page.locator("[data-theme-switch]").first.click()
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert canvas.evaluate(_IS_DRAWN) > 50


def filter_by_keyboard(page: Page) -> None:
    """Choose a model and apply it without a mouse."""
    page.get_by_label("Model", exact=True).focus()
    page.keyboard.type("qwen")
    page.get_by_role("button", name="Apply").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**model=qwen-3.7-max**")
    expect(page.locator("#usage-table tbody tr")).to_have_count(1)
    expect(page.locator("#usage-table tfoot")).to_contain_text("$0.0010")


def open_table_by_keyboard(page: Page) -> None:
    """Open the chart's table without a mouse."""
    page.get_by_text("The chart as a table").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="The chart as a table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
