"""From the first visit to the first answer: few actions, nothing to look up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pages.live.journeys import PASSWORD, newest_link

pytestmark = pytest.mark.timeout(180)

FEWER_THAN = 10


class Visitor:
    """Somebody who clicks, types and opens what comes by mail; every action is counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.actions = 0

    def click(self, name: str) -> None:
        self.actions += 1
        self.page.get_by_role("main").get_by_role("link", name=name).or_(
            self.page.get_by_role("main").get_by_role("button", name=name)
        ).first.click()

    def fill(self, label: str, text: str) -> None:
        self.actions += 1
        self.page.get_by_label(label).fill(text)

    def open_mail(self, link: str) -> None:
        self.actions += 1
        self.page.goto(link)

    def run(self, command: str) -> str:
        self.actions += 1
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout


def test_a_visitor_makes_the_first_call_with_what_the_pages_say(page: Page, mails: Path) -> None:
    visitor = Visitor(page)
    page.goto("/")

    visitor.click("Start with $5 of credit")
    visitor.fill("Email", "first@example.com")
    visitor.fill("Password", PASSWORD)
    visitor.click("Create account")
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()
    visitor.open_mail(newest_link(mails))
    visitor.click("Yes, verify it")
    visitor.click("Create a key")
    visitor.click("Create key")
    answer = visitor.run(page.locator("[data-language=curl] code").first.inner_text())

    assert '"chat.completion"' in answer
    assert visitor.actions < FEWER_THAN
    page.goto("/dashboard/")
    expect(page.locator("#requests .request-key")).to_have_text("My first key")
