from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import organizations
from accounts.models import ApiKey, Organization, User
from bench.pages import MOST_QUERIES
from billing import topups
from tests.pages.markup import faults, words
from tests.pages.usage import serve


def dashboard(browser: Client) -> str:
    return browser.get(reverse("dashboard")).content.decode()


@pytest.mark.parametrize("name", ["dashboard", "live"])
def test_a_stranger_is_sent_to_the_login(client: Client, db: None, name: str) -> None:
    path = reverse(name)

    assert client.get(path)["Location"] == f"{reverse('account_login')}?next={path}"


def test_the_balance_shows_what_is_available_and_what_was_given(
    browser: Client, organization: Organization
) -> None:
    topups.record_top_up(organization=organization, cents=1_234, key="invoice-1", actor="test")

    shown = words(dashboard(browser))

    assert "Available $12.34" in shown
    assert "Held by running requests $0.00" in shown


def test_a_request_is_listed_with_its_tokens_and_exact_cost(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    usage = serve(organization, key)

    html = dashboard(browser)

    assert f'id="{usage.request_id}"' in html
    assert "gpt-4o Laptop 1\u202f200 (1\u202f024 cached) 34 900 ms Completed $0.000347 500" in words(html)


def test_names_are_never_taken_for_tags(browser: Client, organization: Organization, key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(name="<b>key</b>")
    serve(organization, key, model_id='"><i>model</i>', is_estimated=True)

    html = dashboard(browser)

    row = html[html.index('<tbody id="requests">') :]
    assert "<b>" not in row
    assert "<i>" not in row
    assert "&lt;b&gt;key&lt;/b&gt;" in row
    assert "&lt;i&gt;model&lt;/i&gt;" in row
    assert ">Estimated</span>" in row


def test_today_is_the_sum_of_its_requests_and_each_hour_can_be_read_as_a_table(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    serve(organization, key)
    serve(organization, key, cost_nano=652_500, cost_picos=652_500_000, input_tokens=5, cached_tokens=0)

    shown = words(dashboard(browser))

    assert "Requests 2 " in shown
    assert "Tokens 1\u202f273 1\u202f205 in, 68 out" in shown
    assert "Spend $0.0010" in shown
    assert re.search(r"\d\d:00 2 1\u202f273 \$0\.0010", shown)


def test_other_organizations_requests_are_never_listed(browser: Client, ada: User, cleo: User) -> None:
    stranger = organizations.of_user(cleo)
    usage = serve(stranger, ApiKey(pk="key_of_cleo"))

    assert usage.request_id not in dashboard(browser)


def test_only_the_newest_fifty_are_listed_in_a_bounded_number_of_queries(
    browser: Client,
    organization: Organization,
    key: ApiKey,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    served = [serve(organization, key, started_at_ms=1_795_000_000_000 + number) for number in range(52)]

    with django_assert_max_num_queries(MOST_QUERIES):
        html = dashboard(browser)

    assert re.findall(r'class="request" id="(\w+)"', html) == [
        usage.request_id for usage in reversed(served[2:])
    ]


def test_a_failed_request_and_a_free_one_look_different_from_a_good_one(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    serve(organization, key, outcome="free", status=500, cost_nano=0, cost_picos=0)
    serve(organization, key, outcome="client_left", is_estimated=True)

    html = dashboard(browser)

    assert '<span class="badge is-bad">Free</span>' in html
    assert '<span class="badge">Client left</span>' in html
    assert "Estimated" in words(html)


def test_without_a_key_the_next_step_is_to_create_one(browser: Client, organization: Organization) -> None:
    html = dashboard(browser)

    assert "Create your first API key" in words(html)
    assert f"{reverse('accounts:keys')}#create" in html


def test_with_a_key_the_next_step_is_a_request_to_copy(browser: Client, key: ApiKey) -> None:
    html = dashboard(browser)

    assert "Make your first request" in words(html)
    assert f"Bearer {key.prefix}…" in html
    assert "http://testserver/v1" in html


def test_with_a_request_no_steps_are_shown(browser: Client, organization: Organization, key: ApiKey) -> None:
    serve(organization, key)

    assert re.search(r'id="requests-empty" hidden', dashboard(browser))


def test_the_page_is_plain_and_nobody_keeps_a_copy(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    serve(organization, key)

    response = browser.get(reverse("dashboard"))

    assert faults(response.content.decode()) == []
    assert "no-store" in response["Cache-Control"]


def test_the_key_pages_are_plain(browser: Client, key: ApiKey) -> None:
    listed = browser.get(reverse("accounts:keys")).content.decode()
    created = browser.post(reverse("accounts:create-key"), {"name": "CI"}).content.decode()
    refused = browser.post(reverse("accounts:create-key"), {"name": ""}).content.decode()

    assert [faults(listed), faults(created), faults(refused)] == [[], [], []]
    assert 'aria-invalid="true"' in refused


def test_a_new_key_is_shown_ready_to_use(browser: Client, organization: Organization) -> None:
    html = browser.post(reverse("accounts:create-key"), {"name": "CI"}).content.decode()

    found = re.search(r'id="secret"[^>]*>(fa_live_\w{36})<', html)
    assert found is not None
    assert f"Authorization: Bearer {found[1]}" in html
    assert "only time it is shown" in html


def test_a_revoked_key_is_marked_and_cannot_be_revoked_again(browser: Client, key: ApiKey) -> None:
    browser.post(reverse("accounts:revoke-key", args=[key.pk]))

    html = browser.get(reverse("accounts:keys")).content.decode()

    assert '<span class="badge is-bad">Revoked</span>' in html
    assert reverse("accounts:revoke-key", args=[key.pk]) not in html
