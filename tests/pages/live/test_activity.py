"""Finding an expensive request and understanding its cost, following the log, and taking requests away as a file."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from playwright.sync_api import Page, expect

from tests.live.product import LiveProduct
from tests.live.programs import Program
from tests.pages.live.journeys import create_key, newest_link, sign_up

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def worker(product: LiveProduct) -> Iterator[Program]:
    """Run a worker of Celery's own."""
    command = [
        "-m",
        "celery",
        "--quiet",
        "-A",
        "fastanchor",
        "worker",
        "--pool",
        "solo",
        "--loglevel",
        "INFO",
    ]
    program = Program(
        [*command, "--without-gossip", "--without-mingle"],
        log=product.folder / "worker.log",
        environment=product.environment,
    )
    yield program
    program.stop()
    # Seen where a test fails.
    sys.stdout.write(program.output())


def ask(client: OpenAI, model: str, words: int) -> str:
    """Make a request; returns what it cost, as its page writes it."""
    answer = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "word " * words}]
    )
    nano = int(answer.headers["x-fa-cost-nano"])
    return f"${nano // 10**9}.{nano % 10**9:09d}"


def test_an_expensive_request_is_found_and_its_cost_understood(
    page: Page, product: LiveProduct, mails: Path, worker: Program
) -> None:
    sign_up(page, mails, "kim@example.com")
    secret = create_key(page)
    page.goto("/dashboard/activity/")
    expect(page.get_by_role("heading", name="No requests yet")).to_be_visible()
    page.get_by_role("button", name="Follow live").click()
    expect(page.locator("#tail-state")).to_have_text("Live")
    with OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
        ask(client, "gpt-4o", 3)
        expect(page.locator("#log-rows tr")).to_have_count(1)
        dear = ask(client, "gpt-4o", 900)
        expect(page.locator("#log-rows tr")).to_have_count(2)
        page.get_by_role("button", name="Pause").click()
        ask(client, "gpt-4o", 5)
        expect(page.get_by_role("button", name="Resume, 1 new")).to_be_visible()
        # As a browser does that is refused; it asks again after ten seconds, and is sent every row anew.
        page.evaluate("tailSource.close(); tailSource.dispatchEvent(new Event('error'))")
        expect(page.locator("#tail-state")).to_have_text("Not connected, trying")
        expect(page.locator("#tail-state")).to_have_text("Paused", timeout=20_000)
        ask(client, "gpt-4o", 7)
        page.get_by_role("button", name="Resume, 2 new").click()
        expect(page.locator("#log-rows tr")).to_have_count(4)
        expect(page.locator("#tail-state")).to_have_text("Live")

    page.get_by_label("Order").select_option("Most expensive first")
    page.get_by_role("button", name="Show").click()
    top = page.locator("#log-rows tr").first
    expect(top.locator(".request-cost")).to_have_text(dear)
    top.get_by_role("link").click()

    main = page.get_by_role("main")
    expect(main).to_contain_text("The answer was complete, so what it used was charged.")
    row = main.get_by_role("row", name="Input tokens", exact=False).first
    expect(row).to_contain_text("$2.50 per 1M")
    expect(main.get_by_role("row", name="Charged")).to_contain_text(dear)


def test_requests_are_taken_away_as_a_file(
    page: Page, product: LiveProduct, mails: Path, worker: Program
) -> None:
    sign_up(page, mails, "lee@example.com")
    secret = create_key(page)
    with OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
        costs = [ask(client, "gpt-4o", words) for words in (3, 40)]
    expect(page.locator("#requests tr")).to_have_count(2)
    page.goto("/dashboard/activity/?model=gpt-4o")

    page.get_by_role("link", name="Export", exact=True).click()
    expect(page.get_by_label("Model")).to_have_value("gpt-4o")
    page.get_by_role("button", name="Write the file").click()
    page.wait_for_url(re.compile(r"/dashboard/exports/exp_\w+/$"))
    own = page.url

    download = page.get_by_role("link", name=re.compile("Download"))
    expect(download).to_be_visible(timeout=60_000)
    expect(page.get_by_role("article")).to_contain_text("2 rows")
    with page.expect_download() as saved:
        download.click()
    text = gzip.decompress(saved.value.path().read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [f"${row['cost_usd']}" for row in rows] == costs
    assert {row["key_name"] for row in rows} == {"Laptop"}
    assert newest_link(mails).endswith(own.removeprefix(own[: own.index("/dashboard")]))
