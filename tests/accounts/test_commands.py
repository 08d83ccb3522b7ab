from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts import keys, tokens
from accounts.adapters import SecondFactorAdapter
from accounts.models import ApiKey, Organization


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def test_a_key_is_created_with_its_limits_and_printed_as_json(organization: Organization) -> None:
    created = json.loads(
        run(
            "apikey_create", "--organization", organization.pk, "--name", "ci", "--rpm", 4, "--tpm", 900,
            "--budget-cents", 250, "--month-budget-cents", 100, "--week-budget-cents", 50, "--day-budget-cents", 0,
            "--expires-days", 2, "--models", "gpt-4o,gpt-4.1",
            "--ips", "203.0.113.0/24,2001:db8::1", "--json",
        )
    )  # fmt: skip

    caller = keys.load_caller(tokens.digests(created["secret"], keys._peppers()))
    assert caller is not None
    assert (created["id"], created["organization"]) == (caller.key_id, organization.pk)
    assert (caller.key_requests_per_minute, caller.key_tokens_per_minute) == (4, 900)
    assert caller.budgets[1::3] == ("day", "week", "month", "lifetime")
    assert caller.budgets[2::3] == (0, 500_000_000, 1_000_000_000, 2_500_000_000)
    assert caller.allowed_models == {"gpt-4o", "gpt-4.1"}
    assert list(map(str, caller.networks)) == ["203.0.113.0/24", "2001:db8::1/128"]
    assert caller.expires_at


def test_a_refusal_is_one_line_that_names_the_limit(organization: Organization) -> None:
    with pytest.raises(CommandError, match="requests_per_minute: At most 5"):
        run("apikey_create", "--organization", organization.pk, "--rpm", 6)
    with pytest.raises(CommandError, match="--expires-days"):
        run("apikey_create", "--organization", organization.pk, "--expires-days", 10**11)
    with pytest.raises(CommandError, match="org_missing"):
        run("apikey_create", "--organization", "org_missing")

    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_by_its_id(organization: Organization) -> None:
    key, _ = keys.create(organization=organization, name="k")

    assert key.pk in run("apikey_revoke", key.pk)

    assert ApiKey.objects.get().revoked_at is not None
    with pytest.raises(CommandError, match="key_missing"):
        run("apikey_revoke", "key_missing")


def test_a_key_is_rotated_by_its_id(organization: Organization) -> None:
    key, old = keys.create(organization=organization, name="k")

    rotated = json.loads(run("apikey_rotate", key.pk, "--overlap-seconds", 0, "--json"))

    new = keys.load_caller(tokens.digests(rotated["secret"], keys._peppers()))
    assert new is not None
    assert new.key_id == rotated["id"] == key.pk
    assert keys.load_caller(tokens.digests(old, keys._peppers())) is None
    with pytest.raises(CommandError, match="at most"):
        run("apikey_rotate", key.pk, "--overlap-seconds", 10**6)
    with pytest.raises(CommandError, match="key_missing"):
        run("apikey_rotate", "key_missing")


def test_second_factors_are_sealed_with_the_newest_key(
    organization: Organization, settings: Settings
) -> None:
    old, new = f"old:{'0a' * 32}", f"new:{'0b' * 32}"
    settings.CHANNEL_KEYS = old
    user = organization.members.get()
    factor = Authenticator.objects.create(
        user=user, type="totp", data={"secret": SecondFactorAdapter().encrypt("A SECRET")}
    )
    settings.CHANNEL_KEYS = f"{new},{old}"

    assert "Sealed 1 " in run("second_factor_reseal")
    assert "Sealed 0 " in run("second_factor_reseal")

    settings.CHANNEL_KEYS = new
    factor.refresh_from_db()
    assert SecondFactorAdapter().decrypt(factor.data["secret"]) == "A SECRET"
