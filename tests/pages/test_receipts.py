"""The page of one request: its receipt, for its own organization alone."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from accounts import organizations
from accounts.models import ApiKey, Organization, User
from billing.attempts import AttemptMade, Considered
from catalog.models import Price
from tests.pages.markup import faults, words
from tests.pages.usage import serve


@pytest.fixture
def price(catalog: None) -> Price:
    """Return the price of gpt-4o: 2.5, cached 1.25 and output 10 dollars per million tokens."""
    return Price.objects.filter(model="gpt-4o").latest("valid_from")


def test_a_stranger_is_sent_to_the_login(client: Client, db: None) -> None:
    path = reverse("request", args=["req_1"])

    assert client.get(path)["Location"] == f"{reverse('account_login')}?next={path}"


def test_the_list_leads_to_a_receipt_whose_lines_add_up(
    browser: Client, organization: Organization, key: ApiKey, price: Price
) -> None:
    # 176 x 2.5 + 1,024 x 1.25 + 34 x 10 dollars per million.
    usage = serve(
        organization, key, price_id=price.pk, cost_picos=2_060_000_000, cost_nano=2_060_000, attempts=2
    )
    path = reverse("request", args=[usage.request_id])
    assert f'href="{path}"' in browser.get(reverse("dashboard")).content.decode()

    html = browser.get(path).content.decode()

    shown = words(html)
    assert faults(html) == []
    assert "Input tokens 176 $2.50 per 1M $0.00044 " in shown
    assert "Input tokens read from the cache 1\u202f024 $1.25 per 1M $0.00128 " in shown
    assert "Output tokens 34 $10.00 per 1M $0.00034 " in shown
    assert "Sum $0.00206 Charged, rounded once to nine places $0.002060 000" in shown
    assert "The answer was complete, so what it used was charged." in shown
    assert "The base rates." in shown
    assert 'title="$0.0000025 a token"' in html
    assert f"Price {price.pk}, since" in re.sub(r" ,", ",", shown)
    assert "Attempts 2; failed ones are ours to pay" in shown


def test_attempts_at_several_models_are_shown_with_their_models(
    browser: Client, organization: Organization, key: ApiKey, price: Price
) -> None:
    tried = (
        AttemptMade("anthropic", "chan_1", 529, "upstream_error", 40, "claude-haiku-4-20250514"),
        AttemptMade("openai", "chan_2", 200, "", 300, "gpt-4o"),
    )
    usage = serve(organization, key, price_id=price.pk, attempts=2, attempts_made=tried)

    html = browser.get(reverse("request", args=[usage.request_id])).content.decode()

    assert faults(html) == []
    assert "1 claude-haiku-4-20250514 anthropic upstream_error 529" in words(html)
    assert "2 gpt-4o openai Served 200" in words(html)


def test_what_is_free_shows_what_it_would_have_cost_and_why_it_was_not_charged(
    browser: Client, organization: Organization, key: ApiKey, price: Price
) -> None:
    usage = serve(
        organization, key, price_id=price.pk, outcome="free", cost_picos=0, cost_nano=0,
        error_code="upstream_error", status=500,
    )  # fmt: skip

    shown = words(browser.get(reverse("request", args=[usage.request_id])).content.decode())

    assert "Not charged -$0.00206" in shown
    assert "Sum $0.0 Charged" in shown
    assert "Nothing was delivered, or the fault was ours" in shown


def test_another_organizations_request_is_not_there(browser: Client, ada: User, cleo: User) -> None:
    usage = serve(organizations.of_user(cleo), ApiKey(pk="key_of_cleo"))

    assert browser.get(reverse("request", args=[usage.request_id])).status_code == 404
    assert browser.get(reverse("request", args=["req_unknown"])).status_code == 404


def test_that_a_second_way_was_tried_is_told_in_plain_words_and_names_no_channel(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    usage = serve(
        organization, key, attempts=2, channel_id="chan_3",
        attempts_made=(
            AttemptMade("openai", "chan_1", 503, "upstream_error", 20), AttemptMade("openai", "chan_3", 200, "", 30),
        ),
        considered=(
            Considered("openai", "chan_1", 1, 800, "ready", 0, 0),
            Considered("openai", "chan_2", 2, 1_000, "concurrency", 1, 7),
            Considered("openai", "chan_3", 3, 1_000, "ready", 0, 0),
        ),
    )  # fmt: skip

    html = browser.get(reverse("request", args=[usage.request_id])).content.decode()

    assert (
        "One way to the model was passed over: busy. The first way failed, so a second was tried."
        in words(html)
    )
    assert "chan_" not in html


def test_staff_see_how_every_channel_stood(browser: Client, organization: Organization, key: ApiKey) -> None:
    usage = serve(organization, key, considered=(Considered("openai", "chan_2", 2, 950, "requests", 12, 7),))
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff@example.org"))

    html = staff.get(f"/admin/billing/usagerecord/{quote(usage.request_id)}/change/").content.decode()

    assert "openai chan_2: priority 2, score 0.95, requests for 12 s, 7 running" in html
