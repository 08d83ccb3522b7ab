"""The documentation in a real browser: what is looked for is found, and every path can be tried out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.live.product import LiveProduct

pytestmark = pytest.mark.timeout(180)


def test_a_search_leads_to_the_section(page: Page) -> None:
    page.goto("/docs/")
    box = page.get_by_role("searchbox", name="Search the documentation")

    box.fill("keep-alive")
    box.press("Enter")
    page.get_by_role("link", name="Streaming Silence").click()

    page.wait_for_url("**/docs/streaming/#silence")
    expect(page.get_by_role("heading", name="Silence")).to_be_in_viewport()


def test_a_path_is_tried_out_with_the_reader_s_own_key(page: Page, product: LiveProduct) -> None:
    organization, key = product.new_customer()
    page.goto("/docs/reference/")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(key)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    operation = page.locator("#operations-Generate-createChatCompletion")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()

    operation.get_by_role("button", name="Execute").click()

    expect(operation.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")
    product.wait_settled(organization, rows=1)


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_long_lines_do_not_make_a_page_wider(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})

    for path in ("/docs/", "/docs/chat-completions/", "/docs/errors/", "/docs/search/?q=limit"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
