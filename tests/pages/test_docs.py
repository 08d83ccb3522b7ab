"""The documentation's pages: docs/ as customers need it, with their own address, and the numbers in force."""

from __future__ import annotations

import re

import pytest
from anthropic import Anthropic
from django.test import Client
from django.urls import reverse
from httpx2 import Request, Response
from openai import OpenAI
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import keys
from accounts.models import ApiKey, Organization, Plan
from fastanchor.manual import reading, values
from fastanchor.manual.contents import BY_NAME, ENTRIES
from fastanchor.manual.remedies import REMEDIES, raised_by_anthropic, raised_by_openai
from gateway import errors
from tests.pages.markup import faults, words

NAMES = [entry.name for entry in ENTRIES]


def html_of(client: Client, name: str, host: str = "testserver") -> str:
    """Return a page as a reader at this host gets it."""
    response = client.get(reverse("manual", args=[name]), headers={"host": host})
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_plain_html_with_a_way_to_each_section(client: Client, db: None, name: str) -> None:
    html = html_of(client, name)

    assert faults(html) == []
    assert html.count("<h1>") == 1
    for heading in reading.written(name).headings:
        assert html.count(f'id="{heading.anchor}"') == 1
        assert f'href="#{heading.anchor}"' in html


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_be_filled_in_and_nothing_of_the_repository(
    client: Client, db: None, name: str
) -> None:
    html = html_of(client, name)

    assert not values.NAME.search(html)
    assert "[[" not in html
    for strange in ("127.0.0.1", "./dev", "&lt;!--", "sandbox"):
        assert strange not in html


def test_every_link_inside_the_site_leads_somewhere(client: Client, db: None) -> None:
    pages = {reverse("manual", args=[name]): html_of(client, name) for name in NAMES}
    texts = "".join(html.partition("<article")[2].partition("</article>")[0] for html in pages.values())

    for path, anchor in sorted(set(re.findall(r'href="(/[^"#?]*)(?:#([^"]*))?"', texts))):
        if path not in pages:
            pages[path] = client.get(path, follow=True).content.decode()
        assert "There is no page here" not in pages[path], path
        assert not anchor or f'id="{anchor}"' in pages[path], f"{path}#{anchor}"


@pytest.mark.parametrize("name", ["docs", "docs-search", "docs-reference", "quickstart"])
def test_pages_cost_few_queries(
    browser: Client, key: ApiKey, name: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(7):
        html = browser.get(reverse(name), {"q": "limit"}).content.decode()

    assert faults(html) == []


def test_snippets_name_the_reader_s_own_address_and_key(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    newer, secret = keys.create(organization=organization, name="Old")
    keys.revoke(key=newer, by=None)

    html = html_of(browser, "quickstart", "localhost:4321")

    assert "<mark>http://localhost:4321/v1</mark>/chat/completions" in html
    assert f"Bearer {key.prefix}…" in html
    assert "your newest key, <strong>Laptop</strong>" in html
    assert newer.prefix not in html
    assert secret not in html
    assert "YOUR_KEY" not in html


def test_strangers_are_led_to_the_sign_up(client: Client, db: None) -> None:
    html = html_of(client, "quickstart")

    assert "Bearer YOUR_KEY" in html
    assert f'<a class="button" href="{reverse("account_signup")}">Sign up</a>' in html


def test_an_address_cannot_bring_markup_with_it(client: Client, db: None) -> None:
    settings_hosts = client.get(reverse("quickstart"), headers={"host": "a<script>"})

    assert settings_hosts.status_code == 400


def test_the_limits_are_those_in_force(client: Client, db: None) -> None:
    Plan.objects.filter(code="free").update(requests_per_minute=7, signup_credit_nano=3_000_000_000)

    assert "Free 7 10\u202f000" in words(html_of(client, "limits"))
    assert "$3.00 to try things out" in words(html_of(client, "credit"))


def test_the_numbers_are_those_of_the_settings(client: Client, db: None, settings: Settings) -> None:
    settings.KEEP_ALIVE_S, settings.RESPONSES_DAYS, settings.MAX_BODY_BYTES = 13, 17, 19 * 1024**2

    assert "After 13 seconds without an event" in words(html_of(client, "streaming"))
    assert "kept for 17 days" in words(html_of(client, "responses"))
    assert "larger than 19 MiB" in words(html_of(client, "errors"))


def leaves(kind: type[errors.GatewayError]) -> set[type[errors.GatewayError]]:
    """Return the errors that are raised."""
    return {kind} if not kind.__subclasses__() else set().union(*map(leaves, kind.__subclasses__()))


def test_every_error_has_a_remedy(client: Client, db: None) -> None:
    text = words(html_of(client, "errors"))

    known = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)}
    assert set(REMEDIES) == known - {errors.GatewayError}
    for error in REMEDIES:
        assert f"{error.status} {error.code} " in text


@pytest.mark.parametrize("status", sorted({error.status for error in REMEDIES} | {529}))
def test_the_sdks_raise_what_the_page_says(status: int) -> None:
    response = Response(status, request=Request("POST", "http://x.example"))

    of_openai = OpenAI(api_key="x")._make_status_error_from_response(response)
    of_anthropic = Anthropic(api_key="x")._make_status_error_from_response(response)

    assert type(of_openai).__name__ == raised_by_openai(status)
    assert type(of_anthropic).__name__ == raised_by_anthropic(status)


def test_old_addresses_lead_to_the_new_ones(client: Client, db: None) -> None:
    assert client.get("/quickstart/")["Location"] == "/docs/quickstart/"
    assert client.get("/docs/clients/").status_code == client.get("/docs/formats/").status_code == 200


def test_there_is_no_other_page(client: Client, db: None) -> None:
    assert client.get("/docs/architecture/").status_code == 404
    assert "architecture" not in BY_NAME


def test_pages_lead_to_the_next_and_back(client: Client, db: None) -> None:
    html = html_of(client, NAMES[1])

    assert f'rel="prev" href="{reverse("manual", args=[NAMES[0]])}"' in html
    assert f'rel="next" href="{reverse("manual", args=[NAMES[2]])}"' in html
    assert 'rel="prev"' not in html_of(client, NAMES[0])
    assert 'rel="next"' not in html_of(client, NAMES[-1])


def test_only_the_reference_may_set_styles_of_its_own(client: Client, db: None) -> None:
    reference = client.get(reverse("docs-reference"))["Content-Security-Policy"]

    assert "style-src 'self' 'unsafe-inline';" in reference
    assert "script-src" not in reference
    assert "unsafe" not in client.get(reverse("docs"))["Content-Security-Policy"]
