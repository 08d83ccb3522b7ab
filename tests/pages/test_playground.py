from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import budgets, kept_contents, keys, tokens
from accounts.keyring import Caller
from accounts.models import ApiKey, Membership, Organization, User
from bench.pages import MOST_QUERIES
from billing import wallets
from billing.models import WalletState
from catalog.models import Provider
from tests.catalog.builders import build_model_of
from tests.pages.markup import faults, words

PAGE, MINT = reverse("playground"), reverse("playground-key")


def caller_of(secret: str) -> Caller | None:
    return keys.load_caller(tokens.digests(secret, keys._peppers()))


def mint(browser: Client) -> str:
    return str(browser.post(MINT).json()["secret"])


def test_a_member_gets_a_key_that_ends_within_the_hour(
    browser: Client, organization: Organization, ada: User
) -> None:
    secret = mint(browser)

    caller = caller_of(secret)
    assert caller is not None
    assert caller.organization_id == organization.pk
    within = timezone.now() + timedelta(hours=1)
    assert abs(caller.expires_at - within.timestamp()) < 60
    assert ApiKey.objects.get().created_by == ada


def test_budgets_of_the_member_and_the_organization_hold_for_it(
    browser: Client, organization: Organization, ada: User
) -> None:
    budgets.set_organization(organization=organization, by=ada, budget_day_nano=9)
    budgets.set_member(membership=Membership.objects.get(), by=ada, budget_total_nano=7)

    caller = caller_of(mint(browser))

    assert caller is not None
    assert caller.member == budgets.member_subject(ada.pk)
    assert set(caller.budgets[2::3]) == {7, 9}


def test_a_new_secret_replaces_the_one_before_and_usage_keeps_one_name(
    browser: Client, organization: Organization
) -> None:
    first, second = mint(browser), mint(browser)

    assert caller_of(first) is None
    assert caller_of(second) is not None
    assert list(ApiKey.objects.values_list("name", flat=True)) == ["Playground"]


def test_it_is_on_no_page_of_keys_and_takes_no_place_among_them(
    browser: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_LIVE_KEYS", 1)
    mint(browser)
    key = ApiKey.objects.get()

    assert "Create your first key" in browser.get(reverse("accounts:keys")).content.decode()
    assert browser.get(reverse("accounts:key", args=[key.pk])).status_code == 404
    assert browser.get(reverse("billing:key-budgets", args=[key.pk])).status_code == 404
    assert keys.create(organization=organization, name="k")


def test_a_revoked_one_stays_revoked(browser: Client, organization: Organization) -> None:
    secret = mint(browser)
    keys.revoke(key=ApiKey.objects.get(), by=None)

    fresh = mint(browser)

    gone, there = caller_of(secret), caller_of(fresh)
    assert gone is not None
    assert gone.revoked
    assert there is not None
    assert not there.revoked


def test_who_is_not_verified_is_told_so_and_gets_none(browser: Client, ada: User) -> None:
    EmailAddress.objects.update(verified=False)

    refused = browser.post(MINT)

    assert refused.status_code == 403
    assert "not verified" in refused.json()["error"]["message"]
    assert refused.json()["error"]["url"] == reverse("account_email")
    assert "not verified" in words(browser.get(PAGE).content.decode())
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("state", [WalletState.FROZEN_DISPUTE, WalletState.FROZEN_FRAUD, WalletState.CLOSED])
def test_whose_wallet_is_frozen_is_told_so_and_gets_none(
    browser: Client, organization: Organization, state: WalletState
) -> None:
    wallets.turn(wallets.lock(organization), state)

    refused = browser.post(MINT)

    assert refused.status_code == 403
    assert refused.json()["error"]["url"] == reverse("billing:overview")
    assert not ApiKey.objects.exists()


def test_strangers_and_forged_posts_get_none(client: Client, ada: User) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(ada)

    assert client.post(MINT).status_code == 302
    assert client.get(PAGE).status_code == 302
    assert guarded.post(MINT).status_code == 403
    assert guarded.get(MINT).status_code == 405
    assert not ApiKey.objects.exists()


def test_a_secret_is_kept_by_no_cache(browser: Client) -> None:
    assert "no-store" in browser.post(MINT)["Cache-Control"]


def test_the_page_offers_chat_models_with_what_they_can_do(
    browser: Client, organization: Organization
) -> None:
    maker = Provider.objects.create(slug="acme", name="Acme")
    build_model_of(maker, "seer", input_modalities=["text", "image"], capabilities=["reasoning"])
    build_model_of(maker, "plain", traits=["no_sampling"])
    build_model_of(maker, "vectors", kind="embedding")

    html = browser.get(PAGE, {"model": "plain"}).content.decode()

    assert (
        '<option value="seer" data-input="2" data-output="7" data-max="1000" data-reasons data-sees data-samples>'
        in html
    )
    assert '<option value="plain" data-input="2" data-output="7" data-max="1000">' in html
    assert 'data-first="plain"' in html
    assert "vectors" not in html
    assert faults(html) == []


def test_the_page_needs_few_queries_whatever_the_number_of_models(
    browser: Client, organization: Organization
) -> None:
    maker = Provider.objects.create(slug="acme", name="Acme")

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(PAGE)
        return len(queries)

    build_model_of(maker, "first")
    count()  # the wallet is made at its first use
    few = count()
    for number in range(50):
        build_model_of(maker, f"model-{number}")

    assert count() == few <= MOST_QUERIES


def test_it_says_whether_what_is_written_is_kept(
    browser: Client, organization: Organization, ada: User
) -> None:
    before = words(browser.get(PAGE).content.decode())
    kept_contents.keep_for(organization, 7, by=ada)
    after = words(browser.get(PAGE).content.decode())

    assert "is not stored by us" in before
    assert "is not stored by us" not in after
    assert "has prompts and answers kept, these too" in after
