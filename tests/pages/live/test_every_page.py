"""What holds for every page that links lead to: axe finds nothing, nothing is too wide, the browser has no complaint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, Page

from tests.fakestripe.buying import PAYS
from tests.live.product import LiveProduct
from tests.live.stripe import LiveStripe
from tests.pages.audit import axe_source, judged
from tests.pages.live.journeys import create_key, pay_with, sign_up
from tests.pages.walking import walk

pytestmark = pytest.mark.timeout(600)

PHONES = (390, 320)
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, Theme] = ("light", "dark")


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()


@pytest.fixture(scope="module")
def customer(chromium: Browser, product: LiveProduct, live_stripe: LiveStripe, mails: Path) -> Iterator[Page]:
    """Return a page of a customer of some standing: a key, requests, a paid top-up with its invoice, a saved card."""
    context = chromium.new_context(base_url=product.base_url.removesuffix("/v1"))
    page = context.new_page()
    sign_up(page, mails, "vera@example.com")
    secret = create_key(page)
    with OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
        for model in ("gpt-4o", "claude-sonnet-4-20250514", "deepseek-v4-pro"):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello!"}])
    page.goto("/billing/")
    page.get_by_role("button", name="Pay $10.00").click()
    page.wait_for_url(f"{live_stripe.base_url}/**")
    pay_with(page, PAYS)
    page.wait_for_url("**/billing/top-ups/**")
    yield page
    context.close()


def test_axe_finds_nothing_and_nothing_is_too_wide_on_any_page(customer: Page, axe: str) -> None:
    complaints: list[str] = []
    customer.on("pageerror", lambda error: complaints.append(f"{customer.url} {error}"))
    customer.on(
        "console", lambda message: complaints.append(message.text) if message.type == "error" else None
    )

    pages = walk(customer)
    faults = [fault for path in pages.values() for fault in faults_of(customer, path, axe)]

    assert len(pages) > 25
    assert not faults, "\n".join(faults)
    assert not complaints, "\n".join(complaints)


def test_axe_finds_nothing_before_the_login(chromium: Browser, product: LiveProduct, axe: str) -> None:
    context = chromium.new_context(base_url=product.base_url.removesuffix("/v1"))
    stranger = context.new_page()

    pages = walk(stranger)
    faults = [fault for path in pages.values() for fault in faults_of(stranger, path, axe)]

    assert {"home", "pricing", "account_login", "account_signup"} <= pages.keys()
    assert not faults, "\n".join(faults)
    context.close()


def test_axe_would_find_what_is_wrong(customer: Page, axe: str) -> None:
    customer.goto("/")
    customer.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input>')")

    assert any(fault.startswith("label") for fault in judged(customer, axe))


def faults_of(page: Page, path: str, axe: str) -> list[str]:
    """Return what axe and a ruler find on a page, in both themes and on phones."""
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(path, wait_until="load")
    faults = []
    for theme in THEMES:
        # What fades in is not yet in its own colours.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        faults += [f"{path} {theme} {fault}" for fault in judged(page, axe)]
    for width in PHONES:
        page.set_viewport_size({"width": width, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth")
        faults += [f"{path} is {wide} wide on {width}"] if wide > width else []
    return faults
