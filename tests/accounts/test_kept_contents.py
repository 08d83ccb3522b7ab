"""Prompts and answers are kept only where that was asked for, sealed, for their organization, and for a time."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import kept_contents, keys, leaving, organizations, people, rooms, tokens
from accounts.contents import Content
from accounts.models import KeptContent, Organization, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _count_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "COUNT_EVERY_S", -1)


@pytest.fixture
def user() -> User:
    return people.ensure_verified(email="ada@example.com")


@pytest.fixture
def organization(user: User) -> Organization:
    own = organizations.of_user(user)
    kept_contents.keep_for(own, 7, by=user)
    return own


def keep(
    organization: Organization, request_id: str = "req_1", asked: bytes = b'{"a": "secret words"}'
) -> None:
    content = Content(request_id, organization.pk, asked, b"data: answer words\n\n")
    kept_contents.save(content, time.time() + 60)


def test_what_was_kept_is_read_back_and_lies_sealed(organization: Organization) -> None:
    keep(organization)

    found = kept_contents.find(organization=organization, request_id="req_1")
    assert found is not None
    assert (found.asked, found.answered) == (b'{"a": "secret words"}', b"data: answer words\n\n")
    row = KeptContent.objects.get()
    assert b"words" not in bytes(row.sealed_body)
    assert timedelta(days=6.9) < row.expires_at - timezone.now() <= timedelta(days=7)


def test_by_itself_nothing_is_kept(user: User) -> None:
    own = organizations.of_user(user)

    keep(own)

    assert not KeptContent.objects.exists()
    assert own.contents_days == 0


def test_another_organization_finds_nothing_even_if_the_row_were_its_own(organization: Organization) -> None:
    other = organizations.of_user(people.ensure_verified(email="cleo@example.com"))
    keep(organization)

    assert kept_contents.find(organization=other, request_id="req_1") is None
    KeptContent.objects.update(organization=other)
    assert kept_contents.find(organization=other, request_id="req_1") is None


def test_a_shorter_time_and_none_at_all_end_what_is_older(organization: Organization, user: User) -> None:
    keep(organization)
    KeptContent.objects.update(created_at=timezone.now() - timedelta(days=2))

    kept_contents.keep_for(organization, 30, by=user)
    assert kept_contents.find(organization=organization, request_id="req_1") is not None
    kept_contents.keep_for(organization, 1, by=user)

    assert kept_contents.find(organization=organization, request_id="req_1") is None
    assert kept_contents.expire() == 1
    assert kept_contents.expire() == 0
    kept_contents.keep_for(organization, 0, by=user)
    keep(organization, "req_2")
    assert not KeptContent.objects.exists()


def test_what_goes_beyond_the_share_or_comes_too_late_is_not_kept(
    organization: Organization, settings: Settings
) -> None:
    settings.CONTENTS_QUOTA_BYTES = 100
    keep(organization, "req_1")
    keep(organization, "req_2", b"x" * 100)
    with pytest.raises(kept_contents.TooLate):
        kept_contents.save(Content("req_3", organization.pk, b"a", b"b"), time.time() - 1)

    assert [row.pk for row in KeptContent.objects.all()] == ["req_1"]
    assert kept_contents.count_of(organization.pk) == (1, 41)


def test_all_is_forgotten_on_demand_and_with_the_organization(organization: Organization) -> None:
    keep(organization, "req_1")
    assert kept_contents.forget_all(organization.pk) == 1
    assert kept_contents.find(organization=organization, request_id="req_1") is None
    keep(organization, "req_2")

    leaving.empty(organization)

    assert kept_contents.expire() == 2
    assert not KeptContent.objects.exists()


def test_callers_know_whether_to_copy(organization: Organization, user: User) -> None:
    key, secret = keys.create(organization=organization, name="Laptop")
    digests = tokens.digests(secret, keys._peppers())

    caller = keys.load_caller(digests)
    kept_contents.keep_for(organization, 0, by=user)
    without = keys.load_caller(digests)

    assert caller is not None
    assert without is not None
    assert (caller.keeps_contents, without.keeps_contents) == (True, False)
    assert key.pk == caller.key_id


def test_staff_cannot_ask_for_it_on_a_customer_s_behalf(
    organization: Organization, admin_client: Client
) -> None:
    page = admin_client.get(reverse("admin:accounts_organization_change", args=[organization.pk]))

    assert 'name="plan"' in page.content.decode()
    assert 'name="contents_days"' not in page.content.decode()
