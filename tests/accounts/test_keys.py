from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts import keys, organizations, people, tokens
from accounts.models import ApiKey, Organization, User
from tests.accounts.race import at_once

OLD, NEW = "aa" * 32, "bb" * 32


def found(secret: str) -> Any:
    """Look a secret up as the gateway does."""
    return keys.load_caller(tokens.digests(secret, keys._peppers()))


def test_a_new_key_opens_its_organization_and_its_secret_is_nowhere_stored(
    organization: Organization, ada: User
) -> None:
    key, secret = keys.create(organization=organization, name="  Production ", created_by=ada)

    caller = found(secret)

    assert (caller.key_id, caller.organization_id, caller.plan) == (key.pk, organization.pk, "free")
    assert (key.name, key.prefix, key.last4) == ("Production", secret[:12], secret[-4:])
    row = str(ApiKey.objects.filter(pk=key.pk).values_list().get())
    assert secret[12:-4] not in row


def test_a_caller_carries_every_limit_of_the_key(organization: Organization) -> None:
    expires_at = timezone.now() + timedelta(days=3)
    key, secret = keys.create(
        organization=organization,
        name="k",
        expires_at=expires_at,
        budget_total_nano=7,
        budget_month_nano=0,
        allowed_models=["gpt-4o", " gpt-4o ", ""],
        requests_per_minute=5,
        tokens_per_minute=99,
    )

    caller = found(secret)

    assert caller.budgets == (key.pk, "month", 0, key.pk, "lifetime", 7)
    assert caller.allowed_models == {"gpt-4o"}
    assert (caller.key_requests_per_minute, caller.key_tokens_per_minute) == (5, 99)
    assert caller.expires_at == int(expires_at.timestamp())


def test_a_key_without_limits_has_those_of_the_plan_and_no_budget(organization: Organization) -> None:
    _, secret = keys.create(organization=organization, name="k")

    caller = found(secret)

    assert (caller.requests_per_minute, caller.tokens_per_minute, caller.concurrency) == (5, 10_000, 4)
    assert (caller.key_requests_per_minute, caller.key_tokens_per_minute) == (0, 0)
    assert (caller.budgets, caller.member) == ((), "")
    assert (caller.allowed_models, caller.expires_at, caller.revoked) == (frozenset(), 0, False)


def test_what_an_organization_has_of_its_own_goes_before_the_plan(organization: Organization) -> None:
    organization.requests_per_minute = 8
    organization.concurrency = 1
    organization.save()
    _, secret = keys.create(organization=organization, name="k", requests_per_minute=8)

    caller = found(secret)

    assert (caller.requests_per_minute, caller.tokens_per_minute, caller.concurrency) == (8, 10_000, 1)


@pytest.mark.parametrize(
    ("field", "value", "refusal"),
    [
        ("requests_per_minute", 6, keys.LimitAbovePlan),
        ("tokens_per_minute", 10_001, keys.LimitAbovePlan),
        ("requests_per_minute", 0, keys.InvalidValue),
        ("budget_total_nano", -1, keys.InvalidValue),
        ("budget_month_nano", 10**18 + 1, keys.InvalidValue),
        ("budget_week_nano", -1, keys.InvalidValue),
        ("budget_day_nano", -1, keys.InvalidValue),
        ("expires_at", datetime(2020, 1, 1, tzinfo=UTC), keys.InvalidValue),
        ("allowed_models", ["m" * 201], keys.InvalidValue),
        ("name", "   ", keys.InvalidValue),
        ("name", "n" * 81, keys.InvalidValue),
    ],
)
def test_a_limit_out_of_range_is_refused_with_its_name(
    organization: Organization, field: str, value: Any, refusal: type[keys.KeyRefused]
) -> None:
    with pytest.raises(refusal) as refused:
        keys.create(**{"organization": organization, "name": "k", field: value})

    assert refused.value.field == field
    assert not ApiKey.objects.exists()


def test_only_live_keys_count_towards_the_most_an_organization_may_have(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_LIVE_KEYS", 2)
    first, _ = keys.create(organization=organization, name="first")
    second, _ = keys.create(organization=organization, name="second")
    with pytest.raises(keys.TooManyKeys):
        keys.create(organization=organization, name="third")

    keys.revoke(key=first, by=None)
    keys.create(organization=organization, name="third")
    ApiKey.objects.filter(pk=second.pk).update(expires_at=timezone.now())

    assert keys.create(organization=organization, name="fourth")[0].name == "fourth"


@pytest.mark.django_db(transaction=True)
def test_keys_created_at_the_same_time_do_not_exceed_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_LIVE_KEYS", 3)
    organization = organizations.of_user(people.ensure_verified(email="ada@example.com"))

    def create() -> None:
        with contextlib.suppress(keys.TooManyKeys):
            keys.create(organization=organization, name="k")

    at_once(create, 8)

    assert organization.api_keys.count() == 3


def test_a_revoked_key_is_found_as_revoked_and_keeps_its_first_date(
    organization: Organization, ada: User
) -> None:
    key, secret = keys.create(organization=organization, name="k")
    revoked_at = keys.revoke(key=key, by=ada).revoked_at

    assert keys.revoke(key=key, by=ada).revoked_at == revoked_at
    assert found(secret).revoked


def test_limits_that_are_not_named_stay(organization: Organization, ada: User) -> None:
    key, secret = keys.create(organization=organization, name="k", budget_total_nano=7, requests_per_minute=2)

    keys.update_limits(key=key, by=ada, requests_per_minute=None, tokens_per_minute=50)

    caller = found(secret)
    assert caller.budgets == (key.pk, "lifetime", 7)
    assert (caller.key_requests_per_minute, caller.key_tokens_per_minute) == (0, 50)
    with pytest.raises(keys.LimitAbovePlan):
        keys.update_limits(key=key, by=ada, requests_per_minute=6)


def test_a_key_is_renamed(organization: Organization) -> None:
    key, _ = keys.create(organization=organization, name="k")

    keys.rename(key=key, name=" Staging ")

    assert ApiKey.objects.get(pk=key.pk).name == "Staging"


def test_a_key_of_an_older_pepper_is_rewritten_so_that_the_pepper_can_be_retired(
    organization: Organization, settings: Settings
) -> None:
    settings.API_KEY_PEPPERS = f"1:{OLD}"
    key, secret = keys.create(organization=organization, name="k")

    settings.API_KEY_PEPPERS = f"2:{NEW},1:{OLD}"
    assert found(secret).key_id == key.pk

    settings.API_KEY_PEPPERS = f"2:{NEW}"
    assert found(secret).key_id == key.pk


def test_nobody_has_an_unknown_key(db: None) -> None:
    assert found(tokens.new_token()) is None


def test_the_last_use_never_goes_backwards(organization: Organization) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    first, second, third = (keys.create(organization=organization, name=name)[0] for name in "abc")
    keys.touch({first.pk: noon, second.pk: noon})

    keys.touch({first.pk: noon - timedelta(hours=1), second.pk: noon + timedelta(hours=1), "key_gone": noon})

    last_used = dict(ApiKey.objects.values_list("pk", "last_used_at"))
    assert last_used == {first.pk: noon, second.pk: noon + timedelta(hours=1), third.pk: None}


@pytest.mark.django_db(transaction=True)
def test_a_key_that_someone_is_changing_does_not_hold_up_the_others() -> None:
    organization = organizations.of_user(people.ensure_verified(email="ada@example.com"))
    busy, idle = (keys.create(organization=organization, name=name)[0] for name in "ab")
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)

    with transaction.atomic():
        ApiKey.objects.select_for_update().get(pk=busy.pk)
        at_once(lambda: keys.touch({busy.pk: noon, idle.pk: noon}), 1)

    assert dict(ApiKey.objects.values_list("pk", "last_used_at")) == {busy.pk: None, idle.pk: noon}
