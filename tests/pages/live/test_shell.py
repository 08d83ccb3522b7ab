"""What every page has: the command palette, the switch between light and dark, times in the reader's zone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live.product import LiveProduct
from tests.pages.live.journeys import sign_up

pytestmark = pytest.mark.timeout(180)


def test_the_palette_leads_to_a_place_and_to_a_model_by_the_keyboard_alone(page: Page) -> None:
    page.goto("/")

    page.keyboard.press("Control+k")
    page.keyboard.type("stat")
    page.keyboard.press("Enter")
    page.wait_for_url("**/status/")
    page.keyboard.press("/")
    page.keyboard.type("deepseek-v4-pro")
    expect(page.locator(".palette-item:visible").first).to_contain_text("DeepSeek")
    page.keyboard.press("Enter")

    page.wait_for_url("**/models/deepseek-v4-pro/")


def test_the_chosen_theme_stays_on_the_next_page(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.locator("[data-theme-switch]").click()
    page.goto("/pricing/")

    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_times_are_in_the_reader_s_zone_and_name_utc(
    chromium: Browser, product: LiveProduct, mails: Path
) -> None:
    context = chromium.new_context(base_url=product.base_url.removesuffix("/v1"), timezone_id="Asia/Kolkata")
    page = context.new_page()
    sign_up(page, mails, "ravi@example.com")
    page.goto("/keys/")
    page.get_by_label("Name", exact=True).fill("Laptop")
    page.get_by_role("button", name="Create key").click()
    page.goto("/keys/")

    time = page.locator("tbody time").first
    expect(time).to_have_attribute("title", re.compile(r"GMT\+5:30 · .* UTC"))
    context.close()


def test_the_present_place_is_in_view_on_a_phone(page: Page, mails: Path) -> None:
    sign_up(page, mails, "nora@example.com")
    page.set_viewport_size({"width": 390, "height": 800})

    page.goto("/settings/delete/")

    for place in page.locator("[aria-current=page]:visible").all():
        expect(place).to_be_in_viewport(ratio=0.9)
