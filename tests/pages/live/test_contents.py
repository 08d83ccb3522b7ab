"""An owner has prompts and answers kept, reads them on a request's page, and stops it again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from openai import OpenAI
from playwright.sync_api import Page, expect

from tests.live.product import CHANGES_ARRIVE_S, LiveProduct
from tests.pages.live.journeys import create_key, sign_up

pytestmark = pytest.mark.timeout(180)

WORDS = "Which sea is the saltiest of all?"


def ask(client: OpenAI, *, is_stream: bool) -> str:
    """Ask, read the answer to its end, and return the request's id."""
    asking = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": WORDS}], stream=is_stream
    )
    answer = asking.parse()
    if is_stream:
        list(answer)
    return asking.headers["x-request-id"]


def look(page: Page, request_id: str) -> None:
    """Open a request's page; its record is there a moment after the request."""
    for _ in range(50):
        answer = page.goto(f"/dashboard/requests/{request_id}/")
        if answer is not None and answer.status == 200:
            return
        time.sleep(0.1)


def choose(page: Page, name: str) -> None:
    page.goto("/settings/privacy/")
    page.get_by_label("Keep prompts and answers for").select_option(label=name)
    page.locator("#prompts").get_by_role("button", name="Save").click()
    time.sleep(CHANGES_ARRIVE_S)


def test_what_is_kept_is_read_on_the_request_s_page_until_it_is_switched_off(
    page: Page, product: LiveProduct, mails: Path
) -> None:
    sign_up(page, mails, "kaya@example.com")
    secret = create_key(page)
    with OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
        before = ask(client, is_stream=False)
        choose(page, "7 days")
        expect(page.get_by_text("kept from now on")).to_be_visible()
        whole, streamed = ask(client, is_stream=False), ask(client, is_stream=True)
        for request_id, answer in ((whole, '"chat.completion"'), (streamed, "data: [DONE]")):
            time.sleep(0.5)
            look(page, request_id)
            expect(page.locator("#asked")).to_contain_text(WORDS)
            expect(page.locator("#answered")).to_contain_text(answer)
            assert secret not in page.content()
        choose(page, "Not kept")
        after = ask(client, is_stream=False)

    for request_id in (before, whole, after):
        look(page, request_id)
        expect(page.get_by_role("heading", name="What it cost")).to_be_visible()
        expect(page.locator("#asked")).to_have_count(0)
