"""The life of a key and the playground in a real browser, against the whole product."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from playwright.sync_api import Locator, Page, expect

from fastanchor.lib.ids import new_id
from tests.clients.environments import CannotInstall, give_up, node_command
from tests.live.product import LiveProduct
from tests.pages.live.journeys import sign_up

pytestmark = pytest.mark.timeout(300)

SAYS = '[[sandbox text="It is <b>bold</b>.\\n```python\\nprint(1)\\n```\\nDone." think=12]] What is it?'
PATIENT_MS = 20_000


@pytest.fixture
def organization(page: Page, product: LiveProduct, mails: Path) -> str:
    """Sign a new customer in, whom five requests a minute would slow down, and return the organization's id."""
    page.set_default_timeout(PATIENT_MS)
    email = f"{new_id('dora')}@example.com".lower()
    sign_up(page, mails, email)
    [row] = product.rows(
        """
        UPDATE accounts_organization SET requests_per_minute = 500, tokens_per_minute = 500000
        WHERE name = %s RETURNING id
        """,
        email.partition("@")[0],
    )
    return str(row["id"])


def call(product: LiveProduct, secret: str) -> str:
    """Ask for an answer and return ``ok`` or the code of the refusal."""
    with openai.OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
        try:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello!"}])
        except openai.APIStatusError as refusal:
            return f"{refusal.code}: {refusal.response.json()['error']['message']}"
        else:
            return "ok"


def wait_for(product: LiveProduct, secret: str, beginning: str) -> None:
    """Wait until a change has reached the gateway, a second at most where nothing else runs."""
    said = ""
    for _ in range(40):
        said = call(product, secret)
        if said.startswith(beginning):
            return
    pytest.fail(said)


def secret_on(page: Page) -> str:
    return page.locator("#secret").inner_text()


def test_the_life_of_a_key(page: Page, product: LiveProduct, organization: str) -> None:
    page.goto("/keys/")
    page.get_by_label("Name", exact=True).fill("Laptop")
    page.get_by_role("button", name="Create key").click()
    old = secret_on(page)
    assert call(product, old) == "ok"

    page.get_by_role("link", name="Limits of this key").click()
    page.get_by_text("Choose from the list").click()
    page.get_by_label("Search models").fill("gpt-4o openai")
    page.get_by_role("checkbox", name=re.compile("^gpt-4o OpenAI")).check()
    expect(page.get_by_label("Allowed models")).to_have_value("gpt-4o")
    page.get_by_label("Allowed IP ranges").fill("203.0.113.0/24")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. It holds within a second.")).to_be_visible()
    wait_for(product, old, "permission_denied: This API key may not be used from 127.0.0.1.")

    page.get_by_label("Allowed IP ranges").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("The present secret keeps working for").select_option("7 days")
    page.get_by_role("button", name="Rotate").click()
    new = secret_on(page)
    assert new != old
    wait_for(product, old, "ok")
    assert call(product, new) == "ok"

    page.get_by_role("link", name="I have saved it").click()
    expect(page.locator("h1")).to_contain_text("Rotating")
    page.get_by_text("Revoke", exact=True).last.click()
    page.get_by_role("button", name="Revoke this key").click()
    expect(page.get_by_role("row").filter(has_text="Laptop")).to_contain_text("Revoked")
    wait_for(product, old, "invalid_api_key")
    wait_for(product, new, "invalid_api_key")


def two_columns(page: Page) -> tuple[Locator, Locator]:
    """Open the playground with two models side by side."""
    page.goto("/dashboard/playground/")
    page.get_by_role("button", name="Add a model").click()
    columns = page.locator(".pg-column")
    columns.nth(1).get_by_label("Model", exact=True).select_option("gpt-4.1")
    return columns.nth(0), columns.nth(1)


def test_two_models_answer_one_prompt_side_by_side(
    page: Page, product: LiveProduct, organization: str
) -> None:
    columns = two_columns(page)
    page.get_by_label("Message").fill(SAYS)
    page.get_by_label("Message").press("Control+Enter")

    for column, model in zip(columns, ("gpt-4o", "gpt-4.1"), strict=True):
        turn = column.locator(".pg-turn")
        expect(turn.locator(".pg-said")).to_contain_text("It is <b>bold</b>.")
        expect(turn.locator("pre")).to_have_text("print(1)")
        expect(turn.locator(".pg-answer .pg-who")).to_have_text(model)
        expect(turn.locator(".pg-meter")).to_have_attribute("title", re.compile(r"Exactly \$0\.\d{9}"))
        expect(turn.locator(".pg-meter")).to_contain_text(
            re.compile(r"first token \d.* in, \d+ out .*\$0\.00")
        )
    exact = columns[0].locator(".pg-meter").get_attribute("title") or ""
    receipt = columns[0].get_by_role("link", name="Receipt").get_attribute("href") or ""
    product.wait_settled(organization, rows=2)
    [paid] = product.rows(
        "SELECT cost_nano, name FROM billing_usagerecord JOIN accounts_apikey AS key ON key.id = key_id WHERE request_id = %s",
        receipt.split("/")[-2],
    )
    assert exact == f"Exactly $0.{paid['cost_nano']:09d}"
    assert paid["name"] == "Playground"
    assert page.request.get(receipt).status == 200

    page.get_by_label("Message").fill("[[sandbox error_after=2]] And then?")
    page.get_by_role("button", name="Send").click()
    for column in columns:
        expect(column.locator(".pg-turn").nth(1).locator(".pg-error")).to_be_visible()
        expect(column.locator(".pg-error:visible")).to_have_count(1)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()


def test_an_answer_is_stopped_and_asked_for_again(page: Page, organization: str) -> None:
    page.goto("/dashboard/playground/")
    column = page.locator(".pg-column")
    page.get_by_label("Message").fill("[[sandbox tokens=400 delay_ms=40]] Tell me all of it.")
    page.get_by_role("button", name="Send").click()
    expect(column.locator(".pg-said")).not_to_be_empty()

    page.get_by_role("button", name="Stop").click()

    expect(column.locator(".pg-note")).to_contain_text("Stopped.")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    column.get_by_role("button", name="Regenerate").click()
    expect(column.locator(".is-running")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    expect(column.locator(".pg-turn")).to_have_count(0)


def test_events_are_read_however_the_network_cuts_them(page: Page, organization: str) -> None:
    page.goto("/dashboard/playground/")
    stream = (
        ': comment\r\n\r\ndata: one\r\n\r\nevent: error\rdata: two\rdata:three\r\rdata\n\ndata: ✓ {"a": 1}\n\n'
        "id: 7\nretry: 5\n\ndata: unfinished"
    )

    for size in (1, 2, 3, 7, len(stream)):
        events = page.evaluate(
            """([stream, size]) => {
              const parser = new EventParser();
              const found = [];
              for (let at = 0; at < stream.length; at += size) found.push(...parser.feed(stream.slice(at, at + size)));
              return found.map(({ name, data }) => [name, data]);
            }""",
            [stream, size],
        )
        assert events == [
            ["message", "one"],
            ["error", "two\nthree"],
            ["message", ""],
            ["message", '✓ {"a": 1}'],
        ], size


def shown_code(page: Page) -> dict[str, str]:
    """Return a request as the page shows it in three languages."""
    page.goto("/dashboard/playground/")
    page.get_by_label("System prompt").fill('It\'s all "quoted".')
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Max tokens").fill("40")
    page.get_by_label("Stop sequences").fill("END\nSTOP")
    page.get_by_label("Message").fill("Say what's \\n \"this\" $HOME `is`.\n[[sandbox text='It ran.']]")
    page.get_by_role("button", name="Show code").click()
    return {
        name: page.locator(f"#pg-code-{name}").text_content() or ""
        for name in ("curl", "python", "javascript")
    }


def run(command: list[str], secret: str) -> str:
    environment = {**os.environ, "FASTANCHOR_API_KEY": secret}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_that_is_shown_runs(
    page: Page, product: LiveProduct, organization: str, tmp_path: Path
) -> None:
    code, secret = shown_code(page), product.new_key(organization)

    answered = run(["sh", "-c", code["curl"]], secret)

    assert '"cost_nano_usd"' in answered
    assert answered.rstrip().endswith("[DONE]")
    assert run([sys.executable, "-c", code["python"]], secret) == "It ran."
    assert run(_javascript(code["javascript"], tmp_path), secret) == "It ran."


def _javascript(code: str, folder: Path) -> list[str]:
    program, beside = folder / "program.mjs", folder / "run"
    beside.mkdir()
    program.write_text(code, encoding="utf-8")
    try:
        return node_command("openai-7", program, beside)
    except CannotInstall as exc:
        give_up(f"The code for JavaScript is not tested: {exc}.")
