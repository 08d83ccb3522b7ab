"""The whole product and a real browser, shared by all journeys; each becomes a customer of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.live.product import LiveProduct
from tests.live.stripe import LiveStripe
from tests.pages.browser import needed_browser, open_browser


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with open_browser(needed_browser()) as browser:
        yield browser


@pytest.fixture(scope="package")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="package")
def live_stripe(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[LiveStripe]:
    running = LiveStripe(tmp_path_factory.mktemp("stripe") / "log")
    yield running
    running.stop()


@pytest.fixture(scope="package")
def product(
    tmp_path_factory: pytest.TempPathFactory, mails: Path, live_stripe: LiveStripe, chromium: Browser
) -> Iterator[LiveProduct]:
    """Run the product; asks for the browser first, so that nothing starts in vain without one."""
    with LiveProduct(
        tmp_path_factory.mktemp("pages"),
        database_url=os.environ["DATABASE_URL"],
        redis_url=os.environ["REDIS_URL"],
        gateways=1,
        environment={"FASTANCHOR_EMAIL_URL": mails.as_uri(), **live_stripe.environment},
    ) as product:
        yield product


@pytest.fixture
def site(product: LiveProduct) -> str:
    return urljoin(product.base_url, "/")


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """Return a fresh page; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = chromium.new_context(base_url=site)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def _is_complaint(message: ConsoleMessage) -> bool:
    # A declined card is the fake Stripe's answer 402, a wrong form ours 422, and 503 tells that Stripe is away; the
    # browser thinks ill of all of them.
    return message.type == "error" and not re.search("status of (402|422|503)", message.text)
