from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import keys, organizations, tokens
from accounts.models import ApiKey, Organization, User
from catalog.models import ModelAlias, Provider
from tests.catalog.builders import build_model_of


@pytest.fixture
def browser(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def create(browser: Client, **fields: str) -> str:
    """Create a key through the form and return the page."""
    return browser.post(reverse("accounts:create-key"), {"name": "ci", **fields}).content.decode()


def test_the_secret_is_shown_once_and_never_again(browser: Client, organization: Organization) -> None:
    response = browser.post(reverse("accounts:create-key"), {"name": "Production"})

    secrets = set(re.findall(r"fa_live_[0-9A-Za-z]{36}", response.content.decode()))
    assert len(secrets) == 1
    secret = secrets.pop()
    assert keys.load_caller(tokens.digests(secret, keys._peppers())) is not None
    assert "no-store" in response["Cache-Control"]
    page = browser.get(reverse("accounts:keys"))
    assert "Production" in page.content.decode()
    assert secret not in page.content.decode()
    assert "no-store" in page["Cache-Control"]


def test_the_form_s_days_and_dollars_become_the_key_s_limits(
    browser: Client, organization: Organization
) -> None:
    maker = Provider.objects.create(slug="acme", name="Acme")
    for name in ("gpt-4o", "gpt-4.1", "qwen-3.7-max"):
        build_model_of(maker, name)
    ModelAlias.objects.create(name="qwen-latest", model_id="qwen-3.7-max")
    create(
        browser,
        expires_in_days="10",
        budget_total="1234.56",
        budget_month="0.10",
        budget_week="0.09",
        budget_day="0",
        requests_per_minute="5",
        tokens_per_minute="100",
        allowed_models="gpt-4o, gpt-4.1\nqwen-latest",
        allowed_ip_ranges="203.0.113.7, 2001:db8::/32",
    )

    key = ApiKey.objects.get()
    assert list(key.budgets.values()) == [0, 90_000_000, 100_000_000, 1_234_560_000_000]
    assert (key.requests_per_minute, key.tokens_per_minute) == (5, 100)
    assert key.allowed_models == ["gpt-4.1", "gpt-4o", "qwen-3.7-max"]
    assert key.allowed_ip_ranges == ["203.0.113.7/32", "2001:db8::/32"]
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=10)) < timedelta(minutes=1)
    assert key.created_by_id == organization.memberships.get().user_id


@pytest.mark.parametrize(
    ("field", "value", "form_field"),
    [
        ("name", "", "name"),
        ("requests_per_minute", "6", "requests_per_minute"),
        ("budget_total", "-1", "budget_total"),
        ("budget_total", "0.001", "budget_total"),
        ("expires_in_days", "0", "expires_in_days"),
        ("allowed_models", "no-such-model", "allowed_models"),
        ("allowed_ip_ranges", "203.0.113.7/24", "allowed_ip_ranges"),
    ],
)
def test_a_refused_form_comes_back_with_the_reason_at_its_field(
    browser: Client, organization: Organization, field: str, value: str, form_field: str
) -> None:
    response = browser.post(reverse("accounts:create-key"), {"name": "ci", field: value})

    assert response.status_code == 422
    assert response.context["form"].errors[form_field]
    assert not ApiKey.objects.exists()


def test_a_name_is_text_and_never_markup(browser: Client, organization: Organization) -> None:
    create(browser, name="<script>alert(1)</script>")

    page = browser.get(reverse("accounts:keys")).content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_owner_revokes_a_key(browser: Client, organization: Organization) -> None:
    key, _ = keys.create(organization=organization, name="k")

    response = browser.post(reverse("accounts:revoke-key", args=[key.pk]), follow=True)

    assert response.redirect_chain == [(reverse("accounts:keys"), 302)]
    assert ApiKey.objects.get().revoked_at is not None


def test_a_stranger_neither_sees_nor_revokes_a_key(browser: Client, cleo: User) -> None:
    key, _ = keys.create(organization=organizations.of_user(cleo), name="cleo-only")

    page = browser.get(reverse("accounts:keys"))
    refused = browser.post(reverse("accounts:revoke-key", args=[key.pk]))

    assert "cleo-only" not in page.content.decode()
    assert refused.status_code == 404
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize(
    ("name", "arguments", "method"),
    [("keys", [], "get"), ("create-key", [], "post"), ("revoke-key", ["key_x"], "post")],
)
def test_who_is_not_logged_in_is_sent_to_the_login(
    client: Client, db: None, name: str, arguments: list[str], method: str
) -> None:
    path = reverse(f"accounts:{name}", args=arguments)

    response = getattr(client, method)(path)

    assert response["Location"] == f"{reverse('account_login')}?next={path}"


@pytest.mark.parametrize("name", ["create-key", "revoke-key"])
def test_changes_need_a_post_with_a_token_of_the_page(
    ada: User, organization: Organization, name: str
) -> None:
    key, _ = keys.create(organization=organization, name="k")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)
    path = reverse(f"accounts:{name}", args=[key.pk] if name == "revoke-key" else [])

    assert browser.get(path).status_code == 405
    assert browser.post(path, {"name": "k"}).status_code == 403
    assert ApiKey.objects.get().revoked_at is None


def test_the_list_is_paged_newest_first(browser: Client, organization: Organization) -> None:
    for number in range(51):
        keys.create(organization=organization, name=f"key-{number:02}")

    first = browser.get(reverse("accounts:keys")).context
    second = browser.get(reverse("accounts:keys"), {"page": "2"}).context

    assert [row.key.name for row in first["rows"]] == [f"key-{number:02}" for number in range(50, 0, -1)]
    assert [row.key.name for row in second["rows"]] == ["key-00"]
    assert second["page"].paginator.num_pages == 2
