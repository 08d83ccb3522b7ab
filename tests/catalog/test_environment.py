"""The sandbox's channels: one for each protocol, and each model behind its own provider's."""

from __future__ import annotations

import pytest

from catalog.channels import SANDBOX_PATHS, add_channel, follow_catalog
from catalog.environment import load_environment
from catalog.models import Channel, Provider, Route
from tests.catalog.builders import build_model_of
from tests.live.sandbox import PATHS

URL = {"FASTANCHOR_SANDBOX_URL": "http://127.0.0.1:8001/v1/"}


@pytest.fixture
def providers(acme: Provider) -> dict[str, Provider]:
    """Return providers that speak different protocols, each with one model of its name, and the sandbox."""
    Provider.objects.create(slug="sandbox", name="Sandbox")
    made = {"openai": acme}
    for adapter in ("anthropic", "gemini", "vertex"):
        made[adapter] = Provider.objects.create(slug=adapter, name=adapter, adapter=adapter)
    for name, provider in made.items():
        build_model_of(provider, name)
    return made


def _routes() -> dict[str, tuple[str, str]]:
    """Return for each model which adapter serves it and under which name."""
    rows = Route.objects.filter(channel__provider="sandbox").values_list(
        "model_id", "channel__adapter", "upstream_model"
    )
    assert len(rows) == len({model for model, _, _ in rows})
    return {model: (adapter, name) for model, adapter, name in rows}


def test_each_model_is_reached_in_its_providers_protocol(providers: dict[str, Provider]) -> None:
    load_environment(URL)

    assert _routes() == {
        "openai": ("openai", "openai"),
        "anthropic": ("anthropic", "anthropic"),
        "gemini": ("gemini", "gemini"),
        # The sandbox does not speak Vertex AI.
        "vertex": ("openai", "vertex"),
    }
    for channel in Channel.objects.all():
        assert (channel.name, channel.priority) == (f"environment {channel.adapter}", 100)
        assert channel.allow_private
    assert Channel.objects.get(adapter="anthropic").base_url == "http://127.0.0.1:8001/anthropic/v1"
    assert Channel.objects.get(adapter="openai").base_url == "http://127.0.0.1:8001/v1"


def test_the_channels_follow_the_sandboxs_address(providers: dict[str, Provider]) -> None:
    load_environment(URL)

    assert load_environment(URL) == []
    assert len(load_environment({"FASTANCHOR_SANDBOX_URL": "http://127.0.0.1:8002/v1"})) == 6
    assert Channel.objects.get(adapter="gemini").base_url == "http://127.0.0.1:8002/gemini/v1beta"


def test_a_database_with_one_channel_for_everything_is_brought_up_to_date(
    providers: dict[str, Provider],
) -> None:
    wanted = Channel(
        provider_id="sandbox", name="environment", base_url="http://127.0.0.1:8001/v1", priority=100
    )
    old = add_channel(channel=wanted, credential="sandbox-needs-no-key", models=list(providers))

    load_environment(URL)
    first = _routes()
    load_environment(URL)

    assert Channel.objects.get(adapter="openai").pk == old.pk
    assert Channel.objects.count() == 6
    assert first == _routes()
    assert {adapter for adapter, _ in first.values()} == {"openai", "anthropic", "gemini"}


def test_new_models_join_the_channel_of_their_protocol(providers: dict[str, Provider]) -> None:
    load_environment(URL)
    build_model_of(providers["gemini"], "gemini-next")

    follow_catalog()

    assert _routes()["gemini-next"] == ("gemini", "gemini-next")


def test_a_provider_that_changes_its_protocol_takes_its_models_along(providers: dict[str, Provider]) -> None:
    load_environment(URL)
    Provider.objects.filter(pk="vertex").update(adapter="gemini")

    (taken, given) = load_environment(URL)

    assert (taken.adapter, given.adapter) == ("openai", "gemini")
    assert _routes()["vertex"] == ("gemini", "vertex")


def test_a_channel_takes_its_providers_new_protocol(acme: Provider) -> None:
    acme.key_variable = "ACME_API_KEY"
    acme.save()
    load_environment({"ACME_API_KEY": "sk-acme-0123456789"})
    Provider.objects.filter(pk="acme").update(adapter="anthropic")

    load_environment({"ACME_API_KEY": "sk-acme-0123456789"})

    assert Channel.objects.get().adapter == "anthropic"


def test_the_tests_know_the_same_addresses() -> None:
    assert PATHS == SANDBOX_PATHS
