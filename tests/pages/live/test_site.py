"""The public site in a real browser: switching models in one line, narrowing the catalogue."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.timeout(180)


def test_choosing_a_model_on_the_landing_page_changes_one_line_and_the_cost(page: Page) -> None:
    page.goto("/")
    before = page.locator("#home-curl").inner_text()
    page.evaluate("window.isSamePage = true")

    page.get_by_role("radio", name="DeepSeek V4 Pro").check()

    expect(page.locator("#home-curl mark[data-model]")).to_have_text("deepseek-v4-pro")
    assert page.locator("#home-curl").inner_text() == before.replace("gpt-4o", "deepseek-v4-pro")
    expect(page.locator(".switch-costs")).to_contain_text("DeepSeek V4 Pro costs $0.60 in and $1.20 out")
    expect(page).to_have_url(re.compile(r"/\?model=deepseek-v4-pro$"))
    assert page.evaluate("window.isSamePage")
    page.reload()
    expect(page.locator("#home-curl mark[data-model]")).to_have_text("deepseek-v4-pro")


def test_the_catalogue_narrows_while_one_types_and_keeps_the_address(page: Page) -> None:
    page.goto("/models/")
    page.evaluate("window.isSamePage = true")

    page.get_by_label("Search by name").press_sequentially("gpt-4.1")
    page.get_by_label("Sort by").select_option("Input price")
    page.get_by_role("checkbox", name="Vision").check()

    expect(page.locator("#count")).to_contain_text("3 of")
    expect(page.locator(".model-id").first).to_have_text("gpt-4.1-nano")
    expect(page).to_have_url(re.compile(r"/models/\?q=gpt-4.1&sort=input&can=vision$"))
    assert page.evaluate("window.isSamePage")
    page.reload()
    expect(page.get_by_role("checkbox", name="Vision")).to_be_checked()
    page.get_by_label("Provider", exact=True).select_option("anthropic")
    page.get_by_role("link", name="Without Anthropic: 3 models").click()
    page.get_by_role("link", name="GPT-4.1", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GPT-4.1")


def test_the_public_pages_work_without_script(chromium: Browser, site: str) -> None:
    context = chromium.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("radio", name="GPT-4.1").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#home-curl mark[data-model]")).to_have_text("gpt-4.1")

    page.goto("/models/")
    page.get_by_label("Search by name").fill("whisper")
    page.get_by_role("button", name="Show models").click()
    expect(page.locator(".model-id")).to_have_text("whisper-1")
    context.close()
