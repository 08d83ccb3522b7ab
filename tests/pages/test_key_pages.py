from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import keys, organizations, proofs, rotation, stamps
from accounts.models import ApiKey, OldSecret, Organization, User
from bench.pages import MOST_QUERIES
from catalog.models import Provider
from tests.catalog.builders import build_model_of
from tests.pages.markup import faults, words

BY_KEY = ("key", "revoke-key", "rotate-key", "end-old-secret")


def path_of(name: str, key: ApiKey) -> str:
    return reverse(f"accounts:{name}", args=[key.pk])


def edit(browser: Client, key: ApiKey, **fields: str) -> str:
    """Save the form of a key's page and return what comes of it."""
    answer = browser.post(path_of("key", key), {"name": key.name, **fields}, follow=True)
    return answer.content.decode()


def test_a_key_s_page_changes_its_name_and_limits(browser: Client, key: ApiKey) -> None:
    build_model_of(Provider.objects.create(slug="acme", name="Acme"), "gpt-4o")

    html = edit(
        browser,
        key,
        name="Laptop of ada",
        expires_at="2099-05-01T12:30",
        requests_per_minute="4",
        allowed_models="gpt-4o",
        allowed_ip_ranges="203.0.113.0/24\n2001:db8::1",
    )

    assert "Saved. It holds within a second." in words(html)
    key.refresh_from_db()
    assert (key.name, key.requests_per_minute, key.allowed_models) == ("Laptop of ada", 4, ["gpt-4o"])
    assert key.allowed_ip_ranges == ["203.0.113.0/24", "2001:db8::1/128"]
    assert key.expires_at is not None
    assert key.expires_at.isoformat() == "2099-05-01T12:30:00+00:00"
    assert faults(html) == []


def test_a_model_that_is_not_sold_is_named_at_its_field_and_nothing_is_saved(
    browser: Client, key: ApiKey
) -> None:
    response = browser.post(path_of("key", key), {"name": "New", "allowed_models": "gpt-9 gpt-8"})

    assert response.status_code == 422
    assert "Not in the catalog: gpt-9, gpt-8." in words(response.content.decode())
    assert ApiKey.objects.get().name == "Laptop"


def test_a_model_that_is_sold_no_longer_does_not_hinder_other_changes(browser: Client, key: ApiKey) -> None:
    keys.update_limits(key=key, by=None, allowed_models=["gpt-3"])

    edit(browser, key, name="Renamed", allowed_models="gpt-3")

    key.refresh_from_db()
    assert (key.name, key.allowed_models) == ("Renamed", ["gpt-3"])


def test_a_refused_range_says_what_to_write(browser: Client, key: ApiKey) -> None:
    html = edit(browser, key, allowed_ip_ranges="203.0.113.7/24")

    assert "Write 203.0.113.0/24." in words(html)
    assert ApiKey.objects.get().allowed_ip_ranges == []


def test_an_expired_key_is_renamed_without_being_revived(browser: Client, key: ApiKey) -> None:
    over = timezone.now() - timedelta(days=1)
    ApiKey.objects.update(expires_at=over)

    edit(browser, key, name="Over", expires_at=over.strftime("%Y-%m-%dT%H:%M"))

    key.refresh_from_db()
    assert (key.name, key.expires_at) == ("Over", over)


def test_the_new_secret_of_a_rotation_is_shown_once_and_the_page_shows_both(
    browser: Client, key: ApiKey
) -> None:
    shown = browser.post(path_of("rotate-key", key), {"overlap": "7d"}).content.decode()
    page = browser.get(path_of("key", key)).content.decode()

    [secret] = set(re.findall(r"fa_live_\w{36}", shown))
    assert secret not in page
    assert f"{secret[:12]}…{secret[-4:]}" in page
    assert f"{key.prefix}…{key.last4}" in page
    assert "End the old secret now" in page
    assert (
        '<span class="badge is-accent">Rotating</span>'
        in browser.get(reverse("accounts:keys")).content.decode()
    )
    assert faults(shown) == faults(page) == []

    browser.post(path_of("end-old-secret", key))
    assert not OldSecret.objects.exists()


def test_a_second_rotation_waits_for_the_end_of_the_first(browser: Client, key: ApiKey) -> None:
    browser.post(path_of("rotate-key", key), {"overlap": "1h"})

    refused = browser.post(path_of("rotate-key", key), {"overlap": "1h"})

    assert refused.status_code == 422
    assert "End it, then rotate again." in words(refused.content.decode())


def test_keys_are_found_by_name_last_four_and_state(browser: Client, organization: Organization) -> None:
    live, secret = keys.create(organization=organization, name="Production web")
    ended, _ = keys.create(organization=organization, name="Old worker")
    keys.revoke(key=ended, by=None)

    def found(**query: str) -> list[str]:
        return [row.key.name for row in browser.get(reverse("accounts:keys"), query).context["rows"]]

    assert found() == ["Production web", "Old worker"]
    assert (
        found(q="prod") == found(q=live.last4) == found(q=secret) == found(show="live") == ["Production web"]
    )
    assert found(show="ended") == ["Old worker"]
    assert found(q="nothing like it") == []


@pytest.mark.parametrize("name", BY_KEY)
def test_the_key_of_a_stranger_is_not_there(browser: Client, cleo: User, name: str) -> None:
    foreign, _ = keys.create(organization=organizations.of_user(cleo), name="cleo-only")

    assert browser.post(path_of(name, foreign), {"name": "mine", "overlap": "0"}).status_code == 404
    assert browser.get(path_of("key", foreign)).status_code == 404
    assert ApiKey.objects.values("name", "revoked_at", "digest").get() == {
        "name": "cleo-only",
        "revoked_at": None,
        "digest": foreign.digest,
    }


@pytest.mark.parametrize("name", BY_KEY)
def test_changes_of_a_key_need_a_token_of_the_page(ada: User, key: ApiKey, name: str) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(ada)

    assert guarded.post(path_of(name, key), {"name": "k", "overlap": "0"}).status_code == 403


def test_the_queries_do_not_grow_with_the_keys(browser: Client, organization: Organization) -> None:
    first, _ = keys.create(organization=organization, name="first")
    rotation.rotate(key=first, overlap=timedelta(days=1), by=None)
    paths = [reverse("accounts:keys"), f"{reverse('accounts:keys')}?q=gone&show=ended", path_of("key", first)]

    def counts() -> list[int]:
        found = []
        for path in paths:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert browser.get(path).status_code == 200
            found.append(len(queries))
        return found

    _revoked_keys(organization, 10)
    # The first page looks for notices.
    counts()
    few = counts()
    _revoked_keys(organization, 10_000)

    assert counts() == few
    assert max(few) <= MOST_QUERIES


def _revoked_keys(organization: Organization, number: int) -> None:
    start = ApiKey.objects.count()
    now = timezone.now()
    ApiKey.objects.bulk_create(
        ApiKey(organization=organization, name=f"gone {each}", digest=f"{each:032}".encode(), revoked_at=now)
        for each in range(start, start + number)
    )


def grow_old(browser: Client) -> None:
    """Let the session have begun, and its user have shown a password, more than half a day ago."""
    session = browser.session
    session[stamps.BEGUN] = int(time.time()) - proofs.LASTS_S
    session.save()


@pytest.mark.parametrize("name", ["accounts:create-key", "accounts:rotate-key"])
def test_a_secret_from_an_old_session_needs_the_password_and_is_then_shown(
    browser: Client, key: ApiKey, name: str
) -> None:
    grow_old(browser)
    path = reverse(name, args=[key.pk] if name == "accounts:rotate-key" else [])
    digest = key.digest

    asked = browser.post(path, {"name": "From afar", "overlap": "0"})
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    key.refresh_from_db()
    assert (ApiKey.objects.count(), key.digest) == (1, digest)
    wrong = browser.post(asked["Location"], {"password": "not it"})
    assert b"fa_live_" not in wrong.content
    shown = browser.post(asked["Location"], {"password": "a long password of ada"})

    assert re.search(r"fa_live_\w{30,}", shown.content.decode())
    assert "no-store" in shown["Cache-Control"]


def test_an_old_session_still_revokes(browser: Client, key: ApiKey) -> None:
    grow_old(browser)

    browser.post(reverse("accounts:revoke-key", args=[key.pk]))

    key.refresh_from_db()
    assert key.revoked_at is not None
