from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import keys, rotation, tokens
from accounts.key_states import KeyState, state_of
from accounts.models import ApiKey, OldSecret, Organization, User

HOUR = timedelta(hours=1)


def found(secret: str) -> Any:
    """Look a secret up as the gateway does."""
    return keys.load_caller(tokens.digests(secret, keys._peppers()))


@pytest.fixture
def made(organization: Organization) -> tuple[ApiKey, str]:
    return keys.create(organization=organization, name="k", requests_per_minute=3, budget_total_nano=7)


def test_both_secrets_open_the_same_key_with_the_same_limits(made: tuple[ApiKey, str], ada: User) -> None:
    key, old = made

    new = rotation.rotate(key=key, overlap=HOUR, by=ada)

    assert found(new).key_id == found(old).key_id == key.pk
    assert found(new).key_requests_per_minute == found(old).key_requests_per_minute == 3
    assert found(new).budgets == found(old).budgets == (key.pk, "lifetime", 7)
    assert found(new).expires_at == 0
    assert abs(found(old).expires_at - (timezone.now() + HOUR).timestamp()) < 60
    row = str(ApiKey.objects.filter(pk=key.pk).values_list().get()) + str(
        OldSecret.objects.values_list().get()
    )
    assert old[12:-4] not in row
    assert new[12:-4] not in row


def test_the_old_secret_never_outlives_the_key(organization: Organization, ada: User) -> None:
    ends = timezone.now() + timedelta(minutes=5)
    key, old = keys.create(organization=organization, name="k", expires_at=ends)

    new = rotation.rotate(key=key, overlap=HOUR, by=ada)

    assert found(old).expires_at == found(new).expires_at == int(ends.timestamp())


def test_without_an_overlap_the_old_secret_opens_nothing(made: tuple[ApiKey, str], ada: User) -> None:
    key, old = made

    new = rotation.rotate(key=key, overlap=timedelta(0), by=ada)

    assert found(old) is None
    assert found(new).key_id == key.pk


def test_an_old_secret_whose_time_is_over_opens_nothing_and_makes_room(
    made: tuple[ApiKey, str], ada: User
) -> None:
    key, first = made
    second = rotation.rotate(key=key, overlap=HOUR, by=ada)
    OldSecret.objects.update(expires_at=timezone.now())

    assert found(first) is None
    rotation.rotate(key=key, overlap=HOUR, by=ada)
    assert found(second).key_id == key.pk
    assert found(first) is None


def test_there_are_never_three_secrets(made: tuple[ApiKey, str], ada: User) -> None:
    key, first = made
    second = rotation.rotate(key=key, overlap=HOUR, by=ada)

    with pytest.raises(rotation.TwoSecretsAlready):
        rotation.rotate(key=key, overlap=HOUR, by=ada)

    assert found(first).key_id == found(second).key_id == key.pk


def test_the_old_secret_is_ended_early(made: tuple[ApiKey, str], ada: User) -> None:
    key, old = made
    new = rotation.rotate(key=key, overlap=HOUR, by=ada)

    rotation.end_old_secret(key=key, by=ada)

    assert found(old) is None
    assert found(new).key_id == key.pk


def test_a_revocation_ends_both(made: tuple[ApiKey, str], ada: User) -> None:
    key, old = made
    new = rotation.rotate(key=key, overlap=HOUR, by=ada)

    keys.revoke(key=key, by=ada)

    assert found(old).revoked
    assert found(new).revoked
    with pytest.raises(rotation.NotLive):
        rotation.rotate(key=key, overlap=HOUR, by=ada)


def test_it_is_noted_when_the_old_secret_was_last_seen(made: tuple[ApiKey, str], ada: User) -> None:
    key, old = made
    rotation.rotate(key=key, overlap=HOUR, by=ada)
    assert OldSecret.objects.get().last_seen_at is None

    found(old)

    assert OldSecret.objects.get().last_seen_at is not None


def test_a_key_shows_what_needs_attention(made: tuple[ApiKey, str], ada: User) -> None:
    key, _ = made
    now = timezone.now()

    assert state_of(key, now) == KeyState.LIVE
    key.expires_at = now + timedelta(days=6)
    assert state_of(key, now) == KeyState.EXPIRING
    rotation.rotate(key=key, overlap=HOUR, by=ada)
    assert state_of(ApiKey.objects.get(), now) == KeyState.ROTATING
    key.expires_at = now
    assert state_of(key, now) == KeyState.EXPIRED
    assert state_of(keys.revoke(key=key, by=ada), now) == KeyState.REVOKED


def test_more_ranges_than_fifty_are_refused_and_equal_ones_count_once(organization: Organization) -> None:
    ranges = [f"10.0.{number}.0/24" for number in range(50)]

    key, _ = keys.create(organization=organization, name="k", allowed_ip_ranges=[*ranges, "10.0.0.0/24"])

    assert key.allowed_ip_ranges == ranges
    with pytest.raises(keys.InvalidValue, match="these are 51"):
        keys.update_limits(key=key, by=None, allowed_ip_ranges=[*ranges, "10.1.0.0/24"])


def test_an_expired_key_is_not_revived_beyond_the_most_live_ones(
    organization: Organization, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = keys.create(organization=organization, name="k")
    ApiKey.objects.update(expires_at=timezone.now())
    keys.create(organization=organization, name="other")
    monkeypatch.setattr(keys, "MAX_LIVE_KEYS", 1)
    key.refresh_from_db()

    with pytest.raises(keys.TooManyKeys):
        keys.update_limits(key=key, by=ada, expires_at=None)
    keys.change(key=key, by=ada, name="another name")

    assert ApiKey.objects.get(pk=key.pk).name == "another name"
