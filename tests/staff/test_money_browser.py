"""Finance in a real browser: a bill is uploaded, the capture rate seen, the month taken along, also without script."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from billing import business, items, ledger_days, posting, topups
from billing.ledger_days import Step
from billing.models import AccountCode
from billing.settlement import settle_batch
from fastanchor.lib.money import exact_usd
from fastanchor.staff import roles
from tests.billing.cast import make_organization, usage
from tests.pages.browser import needed_browser, open_browser
from tests.staff.test_money_pages import of_role

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The live server is synchronous, the product's is not.
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous"),
]
COST = 10**9


@pytest.fixture
def yesterday(transactional_db: None) -> date:
    """Return yesterday, on which a customer used a dollar of bought credit; the ledger has it today."""
    call_command("load_catalog")
    roles.write_groups()
    customer = make_organization()
    topups.record_top_up(organization=customer, cents=500, key="k", actor="system")
    day = timezone.now() - timedelta(days=1)
    at_ms = int(day.timestamp() * 1_000)
    settle_batch(
        [
            usage(
                customer,
                started_at_ms=at_ms,
                finished_at_ms=at_ms + 900,
                cost_nano=COST,
                cost_picos=COST * 1_000,
                hold_nano=COST,
            )
        ]
    )
    posting.post_usage()
    return day.date()


@contextmanager
def opened(browser: Browser, url: str, client: Client, **choices: object) -> Iterator[Page]:
    """Open a page with somebody's session; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = browser.new_context(base_url=url, **choices)  # type: ignore[arg-type]
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": url}])
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def upload(page: Page, folder: Path, text: str) -> None:
    file = folder / "bill.csv"
    file.write_text(f"day,model,amount_usd\n{text}\n", encoding="utf-8")
    page.goto("/admin/money/")
    page.get_by_role("link", name="Provider bills and the capture rate").click()
    page.get_by_label("Provider").select_option("openai")
    page.get_by_label("File:", exact=True).set_input_files(file)
    page.get_by_label("Reason").fill("Invoice")
    page.get_by_role("button", name="Upload").click()


def test_finance_uploads_a_bill_sees_the_capture_rate_and_exports_the_month(
    yesterday: date, live_server: LiveServer, tmp_path: Path
) -> None:
    finance = of_role("finance")
    with (
        open_browser(needed_browser()) as browser,
        opened(browser, live_server.url, finance, java_script_enabled=False) as page,
    ):
        upload(page, tmp_path, f"{yesterday},gpt-4o,2")
        expect(page.get_by_text("1 lines of bill.csv are in force.")).to_be_visible()

        upload(page, tmp_path, f"{yesterday},gpt-4o,1.001")
        expect(page.get_by_text("Compare, then confirm or discard.")).to_be_visible()
        expect(
            page.get_by_role("row", name=f"{yesterday} $2.000000000 $1.001000000 -$0.999000000")
        ).to_be_visible()
        page.get_by_role("button", name="Replace these days").click()
        expect(page.get_by_text("bill.csv is in force for its days.")).to_be_visible()

        page.goto(f"/admin/money/bills/?month={yesterday:%Y-%m}")
        expect(page.get_by_role("row", name=f"{yesterday} OpenAI")).to_contain_text("99.90 %")
        expect(page.get_by_role("row", name=f"{yesterday} OpenAI")).to_contain_text("within")
        the_days_lead_to_their_journals(page)
        text = exported(page)

    the_file_is_the_report(text, yesterday)


def the_days_lead_to_their_journals(page: Page) -> None:
    today = timezone.now().date()
    page.goto(f"/admin/money/months/{today:%Y-%m}/")
    page.get_by_role("link", name=str(today), exact=True).click()
    page.get_by_role("link", name="Revenue", exact=True).click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody tr th a").click()
    expect(page.get_by_role("cell", name="-$1.000000000")).to_have_count(1)


def exported(page: Page) -> str:
    page.goto("/admin/money/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export days as CSV").click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def the_file_is_the_report(text: str, first: date) -> None:
    rows = list(csv.reader(text.splitlines()))
    report = business.report(first=first, last=timezone.now().date(), step=Step.DAY)
    assert [row[0] for row in rows[1:]] == [str(each.start) for each in report if each.start >= first]
    assert rows[-1][1] == exact_usd(COST)
    assert ledger_days.balances(before=date(2100, 1, 1))[AccountCode.WALLET_PAID] == -4 * COST


def test_support_is_refused_at_every_door(yesterday: date, live_server: LiveServer) -> None:
    support = of_role("support")
    with open_browser(needed_browser()) as browser:
        context = browser.new_context(base_url=live_server.url)
        value = support.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])
        page = context.new_page()
        for path in ("/admin/money/", "/admin/money/bills/", f"/admin/money/days/{yesterday}/"):
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 403
        context.close()
    assert User.objects.get(email="support@example.org").has_perm("billing.view_journal")


def test_finance_settles_an_open_item_by_a_journal_without_script(
    yesterday: date, live_server: LiveServer
) -> None:
    items.note(
        kind="cash_missing",
        subject="txn_1",
        ours="no journal",
        theirs="charge of 700 cents",
        missing_nano=7 * COST,
    )
    finance = of_role("finance")
    with (
        open_browser(needed_browser()) as browser,
        opened(browser, live_server.url, finance, java_script_enabled=False) as page,
    ):
        page.goto("/admin/billing/reconciliationitem/?is=open")
        page.get_by_role("link", name="cash_missing", exact=True).first.click()
        page.get_by_role("link", name="Close with a journal").click()
        page.get_by_label("Account:").select_option("bank")
        page.get_by_label("Reason").fill("Interest")
        page.get_by_role("button", name="Show what will be booked").click()
        expect(page.get_by_role("row", name="Bank (bank) -$7.000000000")).to_be_visible()
        page.get_by_role("button", name="Book it").click()
        expect(page.get_by_text("Booked as journal")).to_be_visible()

        page.locator(".field-journal a").click()
        expect(page.get_by_role("row", name="bank of FastAnchor -$7.000000000")).to_be_visible()
        page.get_by_role("link", name="cash_missing: txn_1").first.click()
        expect(page.locator(".field-state")).to_contain_text("Fixed")
        page.goto(f"/admin/money/days/{timezone.now().date()}/")
        expect(page.get_by_role("row", name="Corrections $7.000000000")).to_be_visible()
