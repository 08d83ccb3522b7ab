"""Owners keep their own keys of providers: added, tested, replaced, switched off, removed, and never shown again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import people
from accounts.audit_entry import AuditEntry
from accounts.models import Membership, Organization, Role, User
from bench.pages import MOST_QUERIES
from catalog import own_keys, publish
from catalog.channels import follow_catalog
from catalog.credential_states import refuse_credential
from catalog.models import Channel, Credential, Provider
from catalog.verdicts import Refusal
from fastanchor import channel_probes, closing, refusal_mails
from fastanchor.lib.valkey import sync_client
from tests.catalog.builders import build_model_of
from tests.pages.markup import faults, words
from tests.pages.test_channels import BAD, GOOD, Upstream

LIST = "settings:provider-keys"


@pytest.fixture
def acme(db: None) -> Iterator[Provider]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        acme = Provider.objects.create(
            slug="acme", name="Acme", base_url=f"http://127.0.0.1:{server.server_port}/v1"
        )
        build_model_of(acme, "one")
        yield acme
        server.shutdown()


@pytest.fixture
def paying(organization: Organization) -> Organization:
    organization.plan_id = "payg"
    organization.save()
    return organization


def add(browser: Client, secret: str = GOOD, use: str = "only") -> Channel:
    browser.post(reverse(LIST), {"provider": "acme", "secret": secret, "use": use})
    return Channel.objects.exclude(own_key="").get()


def act(browser: Client, what: str, channel: Channel, **fields: str) -> str:
    """Press a button of a key's page, and return the words that it leads to."""
    sync_client().delete(f"fa:own-key-test:{channel.pk}")
    answer = browser.post(reverse(f"settings:{what}", args=[channel.pk]), fields, follow=True)
    return words(answer.content.decode())


def test_a_key_is_added_sealed_and_shown_by_its_end_only(
    browser: Client, acme: Provider, paying: Organization
) -> None:
    channel = add(browser)

    [credential] = channel.credentials.all()
    assert GOOD not in credential.sealed
    for page in (reverse(LIST), reverse("settings:provider-key", args=[channel.pk])):
        html = browser.get(page).content.decode()
        assert faults(html) == []
        assert GOOD[-4:] in html
        assert GOOD not in html
    assert GOOD not in str(list(AuditEntry.objects.values()))
    assert set(AuditEntry.objects.filter(what__startswith="own_key").values_list("what", flat=True)) == {
        "own_key.added"
    }


def test_only_its_organization_has_it_in_the_gateway_s_catalog(
    browser: Client, acme: Provider, paying: Organization
) -> None:
    channel = add(browser)
    follow_catalog()

    found = publish.build_snapshot()

    assert found.models["one"].routes == ()
    assert list(found.own) == [paying.pk]
    own = found.own[paying.pk]["acme"]
    assert own.channel is not None
    assert (own.channel.id, own.channel.api_key, own.channel.is_own) == (channel.pk, GOOD, True)
    assert [route.upstream_model for route in own.routes(found.models["one"])] == ["upstream-one"]


def test_a_mistake_is_told_and_the_key_is_not_written_back(
    browser: Client, acme: Provider, paying: Organization
) -> None:
    spaced = browser.post(reverse(LIST), {"provider": "acme", "secret": "sk two parts", "use": "only"})
    account = browser.post(reverse(LIST), {"provider": "acme", "secret": '{"type": "x"}', "use": "only"})
    elsewhere = browser.post(reverse(LIST), {"provider": "azure", "secret": GOOD, "use": "only"})
    add(browser)
    twice = browser.post(reverse(LIST), {"provider": "acme", "secret": BAD, "use": "first"})

    assert [each.status_code for each in (spaced, account, elsewhere, twice)] == [422] * 4
    assert "visible ASCII characters" in words(spaced.content.decode())
    assert "service accounts cannot be used here" in words(account.content.decode())
    assert "You already have a key of Acme." in words(twice.content.decode())
    for each in (spaced, elsewhere, twice):
        assert not any(secret in each.content.decode() for secret in ("sk two parts", GOOD, BAD))
    assert Channel.objects.exclude(own_key="").count() == 1


def test_the_free_plan_has_none(browser: Client, acme: Provider, organization: Organization) -> None:
    page = words(browser.get(reverse(LIST)).content.decode())
    browser.post(reverse(LIST), {"provider": "acme", "secret": GOOD, "use": "only"})

    assert "Keys of your own come with a paid plan" in page
    assert not Channel.objects.exists()


def test_members_who_are_no_owners_neither_see_nor_change_them(
    browser: Client, acme: Provider, paying: Organization, ada: User
) -> None:
    channel = add(browser)
    Membership.objects.filter(user=ada).update(role=Role.MEMBER)
    Membership.objects.create(
        user=people.ensure_verified(email="eve@example.com"), organization=paying, role=Role.OWNER
    )
    stranger = Client()
    stranger.force_login(people.ensure_verified(email="ben@example.com"))

    for who in (browser, stranger):
        for name in ("provider-key", "replace-provider-key", "switch-provider-key", "remove-provider-key"):
            answer = who.post(reverse(f"settings:{name}", args=[channel.pk]), {"secret": BAD, "use": "first"})
            assert answer.status_code in {403, 404}

    channel.refresh_from_db()
    assert (channel.own_key, channel.is_enabled) == ("only", True)
    assert channel.credentials.get().last4 == GOOD[-4:]


def test_a_test_tells_what_the_provider_says_and_takes_a_refused_key_out(
    browser: Client, acme: Provider, paying: Organization
) -> None:
    channel = add(browser)
    well = act(browser, "test-provider-key", channel)
    act(browser, "replace-provider-key", channel, secret=BAD)
    refused = act(browser, "test-provider-key", channel)
    own = publish.build_snapshot().own[paying.pk]["acme"]
    act(browser, "replace-provider-key", channel, secret=GOOD)

    assert "It works. one was asked" in well
    assert "The provider refused it: status 401. one was asked" in refused
    assert (own.channel, own.trouble) == (None, "The provider refused it: status 401.")
    assert publish.build_snapshot().own[paying.pk]["acme"].channel is not None


def test_two_tests_at_once_are_one(browser: Client, acme: Provider, paying: Organization) -> None:
    path = reverse("settings:test-provider-key", args=[add(browser).pk])
    browser.post(path)

    again = browser.post(path, follow=True)

    assert "Wait 5 seconds between two tests." in words(again.content.decode())


def test_a_refused_key_comes_back_by_itself(browser: Client, acme: Provider, paying: Organization) -> None:
    credential = add(browser).credentials.get()
    refuse_credential(
        Refusal(f"{credential.pk}.{credential.revision}", "The provider refused it: status 402.")
    )
    Credential.objects.update(retry_at="2026-01-01T00:00Z")

    assert channel_probes.probe_refused() == 1
    assert publish.build_snapshot().own[paying.pk]["acme"].channel is not None


@pytest.mark.parametrize("use", ["only", "first"])
def test_switched_off_it_serves_nothing_and_only_stays_only(
    browser: Client, acme: Provider, paying: Organization, use: str
) -> None:
    channel = add(browser, use=use)

    act(browser, "switch-provider-key", channel)
    off = publish.build_snapshot().own.get(paying.pk, {}).get("acme")
    act(browser, "switch-provider-key", channel, on="1")

    assert (off is None) is (use == "first")
    assert off is None or (off.channel is None and off.is_only)
    assert publish.build_snapshot().own[paying.pk]["acme"].channel is not None


def test_removed_it_is_forgotten(browser: Client, acme: Provider, paying: Organization) -> None:
    channel = add(browser)

    told = act(browser, "remove-provider-key", channel)

    assert "The Acme key is removed. Its models are served for credit from now on." in told
    assert not Credential.objects.exists()
    assert publish.build_snapshot().own == {}


def test_an_account_that_is_deleted_loses_its_provider_keys_at_once(
    browser: Client, acme: Provider, paying: Organization, ada: User
) -> None:
    add(browser)

    closing.ask(ada, is_now=False, gives_up_credit=True)

    assert not Credential.objects.exists()


def test_owners_are_told_once_of_each_refusal(browser: Client, acme: Provider, paying: Organization) -> None:
    channel = add(browser)
    for _ in range(2):
        credential = channel.credentials.get()
        state = f"{credential.pk}.{credential.revision}"
        refuse_credential(Refusal(state, "The provider refused it: status 401."))
        assert refusal_mails.send_due() == 1
        assert refusal_mails.send_due() == 0
        own_keys.replace(channel=channel, secret=GOOD, by=paying.members.get())

    first, _ = mail.outbox
    assert first.to == ["ada@example.com"]
    assert first.subject == "Your Acme key was refused"
    assert "requests for models of Acme are refused with status 403" in first.body
    assert GOOD not in first.body


def test_staff_see_neither_channel_nor_credential(
    browser: Client, acme: Provider, paying: Organization
) -> None:
    channel = add(browser)
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff@example.org"))

    pages = ["admin:catalog_channel_changelist", "admin:catalog_credential_changelist", "channels-now"]

    assert not any(channel.pk in staff.get(reverse(page)).content.decode() for page in pages)
    assert staff.post(reverse("channel-test", args=[channel.pk])).status_code == 404


def test_the_pages_ask_little_of_the_database(
    browser: Client,
    acme: Provider,
    paying: Organization,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    channel = add(browser)
    for page in (reverse(LIST), reverse("settings:provider-key", args=[channel.pk])):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert browser.get(page).status_code == 200
