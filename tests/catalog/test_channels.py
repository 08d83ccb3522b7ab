"""Channels: credentials stay sealed, routes follow the catalog, private addresses are refused."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.forms.models import model_to_dict
from pytest_django import Settings

from catalog.addresses import BadAddress
from catalog.channels import (
    ChannelExists,
    UnknownModels,
    add_channel,
    checked_base_url,
    disable_channel,
    enable_channel,
    follow_catalog,
)
from catalog.credentials import BadCredential, checked_credential, open_credential
from catalog.environment import load_environment
from catalog.models import Channel, Provider
from tests.catalog.builders import BuildModel, build_model_of

KEY = "sk-acme-0123456789"
OLD, NEW = f"old:{'0a' * 32}", f"new:{'0b' * 32}"


def _channel(
    provider: Provider, *, name: str = "", credential: str = KEY, models: tuple[str, ...] = ()
) -> Channel:
    wanted = Channel(provider=provider, base_url="https://acme.example/v1", name=name)
    return add_channel(channel=wanted, credential=credential, models=models)


def _command(name: str, *options: str) -> str:
    out = StringIO()
    call_command(name, *options, stdout=out)
    return out.getvalue()


def test_a_credential_appears_nowhere_but_opens_for_the_gateway(acme: Provider) -> None:
    channel = _channel(acme)

    row = Channel.objects.get(pk=channel.pk)
    shown = f"{row} {row!r} {row.__dict__} {model_to_dict(row)} {serializers.serialize('json', [row])}"
    assert KEY not in shown
    assert row.credentials.get().last4 == "6789"
    assert open_credential(channel=row) == KEY


def test_the_end_of_a_very_short_credential_is_not_kept(acme: Provider) -> None:
    assert _channel(acme, credential="short").credentials.get().last4 == ""


@pytest.mark.parametrize("credential", ["", "  ", "two words", "line\nbreak", "schlüssel"])
def test_a_credential_that_cannot_stand_in_a_header_is_refused(acme: Provider, credential: str) -> None:
    with pytest.raises(BadCredential):
        _channel(acme, credential=credential)

    assert not Channel.objects.exists()


def test_a_service_accounts_json_may_hold_spaces_and_stands_on_one_line() -> None:
    pasted = '{\n  "private_key": "-----BEGIN PRIVATE KEY-----\\nabc\\n",\n  "client_email": "a@b"\n}\n'

    assert checked_credential(pasted) == (
        '{"private_key":"-----BEGIN PRIVATE KEY-----\\nabc\\n","client_email":"a@b"}'
    )
    with pytest.raises(BadCredential):
        checked_credential("{broken")


def test_a_channel_gets_routes_for_its_providers_models_under_their_own_names(
    acme: Provider, build_model: BuildModel
) -> None:
    build_model("one")
    build_model_of(Provider.objects.create(slug="other", name="Other"), "two")

    channel = _channel(acme)

    assert list(channel.routes.values_list("model", "upstream_model")) == [("one", "upstream-one")]


def test_a_channel_that_follows_the_catalog_gets_routes_for_new_models_once(
    acme: Provider, build_model: BuildModel
) -> None:
    follows, chosen = _channel(acme), _channel(acme, models=(build_model("one").pk,))
    build_model("two")

    assert follow_catalog() == 2
    assert follow_catalog() == 0
    assert set(follows.routes.values_list("model", flat=True)) == {"one", "two"}
    assert list(chosen.routes.values_list("model", flat=True)) == ["one"]


def test_unknown_models_are_named_and_nothing_is_added(acme: Provider, build_model: BuildModel) -> None:
    build_model("one")

    with pytest.raises(UnknownModels, match="nine, ten"):
        _channel(acme, models=("one", "ten", "nine"))

    assert not Channel.objects.exists()


def test_two_channels_of_one_provider_cannot_share_a_name(acme: Provider) -> None:
    _channel(acme, name="main")

    with pytest.raises(ChannelExists):
        _channel(acme, name="main")


def test_disabling_keeps_the_reason_until_the_channel_is_enabled(acme: Provider) -> None:
    channel = _channel(acme)

    disable_channel(channel=channel, reason="credential refused " + "x" * 300)
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.disabled_reason[:18]) == (False, "credential refused")

    enable_channel(channel=channel)
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.disabled_reason) == (True, "")


def test_private_addresses_need_the_setting(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_UPSTREAMS = True
    assert checked_base_url("http://127.0.0.1:9/v1/") == "http://127.0.0.1:9/v1"

    settings.ALLOW_PRIVATE_UPSTREAMS = False
    with pytest.raises(BadAddress):
        checked_base_url("http://127.0.0.1:9/v1/")
    with pytest.raises(BadAddress):
        checked_base_url("https://rebound.example/v1", resolve=lambda _: ["8.8.8.8", "::1"])
    assert (
        checked_base_url("https://good.example/v1", resolve=lambda _: ["8.8.8.8"])
        == "https://good.example/v1"
    )


# Commands.


def test_channel_add_prints_what_scripts_need(acme: Provider, build_model: BuildModel) -> None:
    build_model("one")
    build_model("two")

    said = _command(
        "channel_add", "--provider", "acme", "--base-url", "http://127.0.0.1:9/v1/", "--api-key", KEY,
        "--weight", "3", "--priority", "7", "--name", "west", "--models", "one, two", "--json",
    )  # fmt: skip

    channel = Channel.objects.get()
    assert json.loads(said) == {"id": channel.id, "routes": 2}
    assert (channel.base_url, channel.weight, channel.priority, channel.name) == (
        "http://127.0.0.1:9/v1",
        3,
        7,
        "west",
    )
    assert channel.allow_private
    assert KEY not in said


def test_channel_add_for_the_sandbox_routes_every_model_under_our_name(build_model: BuildModel) -> None:
    build_model("one")
    Provider.objects.create(slug="sandbox", name="Sandbox")

    _command("channel_add", "--provider", "sandbox", "--base-url", "http://127.0.0.1:9/v1", "--api-key", "x")

    assert list(Channel.objects.get().routes.values_list("model", "upstream_model")) == [("one", "one")]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"--provider": "nobody"}, "No provider 'nobody'. There are: acme"),
        ({"--base-url": "acme.example"}, "https://"),
        ({"--base-url": "http://169.254.169.254/v1"}, "not a public address"),
        ({"--api-key": "two words"}, "visible ASCII"),
        ({"--models": "nine"}, "No such models: nine"),
        ({"--weight": "0"}, "--weight"),
        ({"--priority": "99999999999999"}, "--priority"),
        ({"--name": "n" * 81}, "--name"),
        ({"--base-url": f"https://8.8.8.8/{'v' * 500}"}, "--base-url"),
    ],
)
def test_channel_add_refuses_with_one_clear_line(
    acme: Provider, settings: Settings, options: dict[str, str], reason: str
) -> None:
    settings.ALLOW_PRIVATE_UPSTREAMS = False
    given = {"--provider": "acme", "--base-url": "https://8.8.8.8/v1", "--api-key": KEY} | options

    with pytest.raises(CommandError, match=reason) as caught:
        _command("channel_add", *(part for pair in given.items() for part in pair))

    assert "\n" not in str(caught.value)
    assert not Channel.objects.exists()


def test_reseal_moves_every_credential_to_the_newest_key(acme: Provider, settings: Settings) -> None:
    settings.CHANNEL_KEYS = OLD
    channel = _channel(acme)
    settings.CHANNEL_KEYS = f"{NEW},{OLD}"

    assert "Sealed 1 " in _command("channel_reseal")
    assert "Sealed 0 " in _command("channel_reseal")

    settings.CHANNEL_KEYS = NEW
    channel.refresh_from_db()
    assert open_credential(channel=channel) == KEY


def test_reseal_names_what_does_not_open_and_seals_the_rest(acme: Provider, settings: Settings) -> None:
    settings.CHANNEL_KEYS = f"lost:{'0c' * 32}"
    broken = _channel(acme)
    settings.CHANNEL_KEYS = OLD
    fine = _channel(acme)
    settings.CHANNEL_KEYS = f"{NEW},{OLD}"

    with pytest.raises(CommandError, match=broken.id):
        _command("channel_reseal")

    fine.refresh_from_db()
    assert fine.credentials.get().sealed.startswith("new:")


# The environment.


@pytest.fixture
def keyed(acme: Provider, build_model: BuildModel) -> Provider:
    acme.key_variable = "ACME_API_KEY"
    acme.save()
    build_model("one")
    return acme


def test_a_key_in_the_environment_makes_one_channel_with_routes(keyed: Provider) -> None:
    created = load_environment({"ACME_API_KEY": f" {KEY}\n", "OTHER": "x"})

    assert load_environment({"ACME_API_KEY": KEY}) == []
    channel = Channel.objects.get()
    assert created == [channel]
    assert (channel.base_url, channel.priority, channel.routes.count()) == (keyed.base_url, 10, 1)
    assert not channel.allow_private


def test_a_key_may_stand_in_a_file(keyed: Provider, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    load_environment({"ACME_API_KEY_FILE": str(tmp_path / "key")})

    assert open_credential(channel=Channel.objects.get()) == KEY


def test_a_new_key_refreshes_the_channel_and_leaves_what_staff_set(keyed: Provider) -> None:
    load_environment({"ACME_API_KEY": KEY})
    Channel.objects.update(weight=5, is_enabled=False)

    (changed,) = load_environment({"ACME_API_KEY": "sk-acme-9876543210"})

    assert open_credential(channel=changed) == "sk-acme-9876543210"
    assert (Channel.objects.get().weight, Channel.objects.get().is_enabled) == (5, False)


def test_a_credential_that_no_longer_opens_is_replaced_from_the_environment(
    keyed: Provider, settings: Settings
) -> None:
    load_environment({"ACME_API_KEY": KEY})
    settings.CHANNEL_KEYS = NEW

    load_environment({"ACME_API_KEY": KEY})

    assert open_credential(channel=Channel.objects.get()) == KEY


def test_a_key_that_is_gone_leaves_its_channel(keyed: Provider) -> None:
    load_environment({"ACME_API_KEY": KEY})

    assert load_environment({}) == []
    assert Channel.objects.get().is_enabled


def test_production_refuses_the_sandbox(keyed: Provider, settings: Settings) -> None:
    settings.IS_PRODUCTION = True

    with pytest.raises(ImproperlyConfigured, match="development only"):
        load_environment({"FASTANCHOR_SANDBOX_URL": "http://127.0.0.1:8001/v1"})


def test_production_has_no_sandbox_provider(db: None, settings: Settings) -> None:
    settings.IS_PRODUCTION = True

    _command("load_catalog", "--product-only")

    assert not Provider.objects.filter(pk="sandbox").exists()
