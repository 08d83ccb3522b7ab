"""Staff's pages: credentials go in and never come out, prices are added and never changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import User
from catalog.channels import add_channel
from catalog.credential_states import refuse_credential
from catalog.credentials import open_credential, opened
from catalog.models import CatalogModel, Channel, Price, PriceSource, Provider
from catalog.verdicts import Refusal
from fastanchor.lib.valkey import sync_client
from tests.catalog.builders import BuildModel, add_rates, tier

KEY = "sk-acme-0123456789"


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("staff@example.org"))
    return client


@pytest.fixture
def channel(acme: Provider, build_model: BuildModel) -> Channel:
    build_model("one")
    return add_channel(
        channel=Channel(provider=acme, base_url="https://acme.example/v1", name="east"), credential=KEY
    )


def _channel_form(channel: Channel, **changes: Any) -> dict[str, Any]:
    form = {
        "provider": channel.provider_id,
        "name": channel.name,
        "adapter": channel.adapter,
        "base_url": channel.base_url,
        "credential": "",
        "weight": channel.weight,
        "priority": channel.priority,
        "requests_per_minute": 0,
        "tokens_per_minute": 0,
        "concurrency": 0,
        "follows_catalog": "on",
        "routes-TOTAL_FORMS": 0,
        "routes-INITIAL_FORMS": 0,
        "reason": "Ticket 4711",
    }
    return form | changes


def _page(channel: Channel) -> str:
    return f"/admin/catalog/channel/{channel.pk}/change/"


def _announced() -> int:
    return int(sync_client().get("fa:changes:catalog") or 0)


@pytest.mark.parametrize("table", ["provider", "catalogmodel", "price", "channel", "credential"])
def test_every_list_and_form_opens(staff: Client, channel: Channel, table: str) -> None:
    assert staff.get(f"/admin/catalog/{table}/").status_code == 200
    assert staff.get(f"/admin/catalog/{table}/add/").status_code == 200


def test_a_credential_is_never_on_a_page(staff: Client, channel: Channel) -> None:
    page = staff.get(_page(channel)).content.decode() + staff.get("/admin/catalog/channel/").content.decode()

    assert "…6789" in page
    assert KEY not in page
    assert channel.credentials.get().sealed not in page


def test_saving_without_a_credential_keeps_the_stored_one(
    staff: Client, channel: Channel, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = staff.post(_page(channel), _channel_form(channel, weight=7))

    channel.refresh_from_db()
    assert answer.status_code == 302
    assert (channel.weight, open_credential(channel=channel)) == (7, KEY)
    assert _announced() > 0


def test_a_new_credential_replaces_the_stored_one_and_is_not_shown_again(
    staff: Client, channel: Channel
) -> None:
    refused = staff.post(_page(channel), _channel_form(channel, credential="sk-secret-new", weight=0))
    staff.post(_page(channel), _channel_form(channel, credential="sk-secret-newer"))

    channel.refresh_from_db()
    assert "sk-secret-new" not in refused.content.decode()
    assert open_credential(channel=channel) == "sk-secret-newer"


def test_a_new_channel_needs_a_credential_and_gets_its_providers_routes(
    staff: Client, channel: Channel
) -> None:
    form = _channel_form(channel, name="west")

    without = staff.post("/admin/catalog/channel/add/", form)
    staff.post("/admin/catalog/channel/add/", form | {"credential": "sk-west-0123456789"})

    assert "visible ASCII" in without.content.decode()
    west = Channel.objects.get(name="west")
    assert open_credential(channel=west) == "sk-west-0123456789"
    assert list(west.routes.values_list("model", flat=True)) == ["one"]


def test_a_private_address_is_refused_unless_it_was_there(
    staff: Client, channel: Channel, settings: Settings
) -> None:
    settings.ALLOW_PRIVATE_UPSTREAMS = False

    refused = staff.post(_page(channel), _channel_form(channel, base_url="http://127.0.0.1/v1"))
    Channel.objects.update(base_url="http://127.0.0.1:8001/v1")
    channel.refresh_from_db()
    kept = staff.post(_page(channel), _channel_form(channel, weight=2))

    assert "not a public address" in refused.content.decode()
    assert kept.status_code == 302


def test_channels_are_disabled_with_a_reason_and_enabled_again(staff: Client, channel: Channel) -> None:
    chosen = {"_selected_action": channel.pk}

    staff.post("/admin/catalog/channel/", {"action": "disable", **chosen})
    channel.refresh_from_db()
    assert channel.is_enabled

    staff.post("/admin/catalog/channel/", {"action": "disable", "reason": "key leaked", **chosen})
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.disabled_reason) == (False, "key leaked")

    staff.post("/admin/catalog/channel/", {"action": "enable", "reason": "A new key", **chosen})
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.disabled_reason) == (True, "")


# Credentials.


def test_a_refused_credential_shows_why_and_is_put_back(staff: Client, channel: Channel) -> None:
    credential = channel.credentials.get()
    refuse_credential(
        Refusal(f"{credential.pk}.{credential.revision}", "The provider refused it: status 401.")
    )

    page = staff.get("/admin/catalog/credential/").content.decode()
    chosen = {"action": "enable", "_selected_action": credential.pk, "reason": "They paid the bill"}
    staff.post("/admin/catalog/credential/", chosen)

    credential.refresh_from_db()
    assert "The provider refused it: status 401." in page
    assert KEY not in page
    assert (credential.is_enabled, credential.disabled_reason) == (True, "")


def test_a_second_credential_is_added_and_never_shown(staff: Client, channel: Channel) -> None:
    form = {"channel": channel.pk, "name": "spare", "reason": "The first is slow"}

    without = staff.post("/admin/catalog/credential/add/", form)
    staff.post("/admin/catalog/credential/add/", form | {"secret": "sk-spare-0123456789"})

    assert "visible ASCII" in without.content.decode()
    spare = channel.credentials.get(name="spare")
    assert opened(spare) == "sk-spare-0123456789"
    for page in (f"/admin/catalog/credential/{spare.pk}/change/", _page(channel)):
        assert "sk-spare-0123456789" not in staff.get(page).content.decode()


def test_a_credential_is_taken_out_with_a_reason_only(staff: Client, channel: Channel) -> None:
    chosen = {"action": "disable", "_selected_action": channel.credentials.get().pk}

    staff.post("/admin/catalog/credential/", chosen)
    assert channel.credentials.get().is_enabled

    staff.post("/admin/catalog/credential/", chosen | {"reason": "leaked"})
    assert (channel.credentials.get().disabled_reason, channel.credentials.get().retry_at) == ("leaked", None)


# Prices.


def _price_form(model: str, *tiers: dict[str, Any], date: str = "", time: str = "") -> dict[str, Any]:
    form: dict[str, Any] = {"model": model, "valid_from_0": date, "valid_from_1": time}
    # As the preview sends it on: see tests/staff/test_price_pages.py.
    form |= {"tiers-TOTAL_FORMS": len(tiers), "tiers-INITIAL_FORMS": 0, "_seen": "Add the price"}
    form["reason"] = "They are cheaper now"
    for number, rates in enumerate(tiers):
        form |= {f"tiers-{number}-{name}": value for name, value in rates.items()}
    return form


BASE = {"above_tokens": 0, "input": "2.5", "cached_input": "1.25", "cache_write": "2.5", "output": "10"}
ABOVE = {
    "above_tokens": 200_000,
    "input": "5",
    "cached_input": "2.5",
    "cache_write": "5",
    "output": "0.000001",
}


def test_a_successor_price_is_typed_in_dollars_and_starts_now(
    staff: Client, build_model: BuildModel, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    build_model("one")

    with django_capture_on_commit_callbacks(execute=True):
        answer = staff.post("/admin/catalog/price/add/", _price_form("one", BASE, ABOVE))

    price = Price.objects.latest("valid_from")
    assert answer.status_code == 302
    assert price.source == PriceSource.STAFF
    assert price.valid_from <= timezone.now()
    assert list(price.tiers.order_by("above_tokens").values_list("above_tokens", "input", "output")) == [
        (0, 2_500_000, 10_000_000),
        (200_000, 5_000_000, 1),
    ]
    assert _announced() == 1


@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ([ABOVE], "needs a base tier"),
        ([BASE, BASE], "duplicate data for during and above_tokens"),
        ([BASE | {"input": "0.0000001"}], "6 decimal places"),
        ([BASE | {"output": "-1"}], "greater than or equal to 0"),
    ],
)
def test_rates_that_make_no_price_are_explained(
    staff: Client, build_model: BuildModel, tiers: list[dict[str, Any]], reason: str
) -> None:
    build_model("one")

    answer = staff.post("/admin/catalog/price/add/", _price_form("one", *tiers))

    assert reason in answer.content.decode()
    assert Price.objects.count() == 1


def test_a_price_cannot_be_dated_back(staff: Client, build_model: BuildModel) -> None:
    build_model("one")
    yesterday = f"{timezone.now() - timedelta(days=1):%Y-%m-%d}"

    answer = staff.post("/admin/catalog/price/add/", _price_form("one", BASE, date=yesterday, time="12:00"))

    assert "now or later" in answer.content.decode()
    assert Price.objects.count() == 1


def test_an_existing_price_can_be_read_but_neither_changed_nor_deleted(
    staff: Client, build_model: BuildModel
) -> None:
    price = add_rates(build_model("one"), tier(37_500, 2_000_000))
    page = f"/admin/catalog/price/{price.pk}"

    shown = staff.get(f"{page}/change/").content.decode()

    assert "$0.0375 / $0.0375 / $0.0375 / $2.00" in shown
    assert 'name="_save"' not in shown
    assert staff.post(f"{page}/change/", _price_form("one", BASE)).status_code == 403
    assert staff.post(f"{page}/delete/", {"post": "yes"}).status_code == 403


def test_a_models_page_shows_its_prices_and_the_way_to_the_next(
    staff: Client, build_model: BuildModel
) -> None:
    build_model("vendor/one", capabilities=["tools"])

    page = staff.get("/admin/catalog/catalogmodel/vendor_2Fone/change/").content.decode()

    assert "$0.000002 / $0.000002 / $0.000002 / $0.000007" in page
    assert "/admin/catalog/price/add/?model=vendor/one" in page


def test_a_model_is_retired_by_hand_and_keeps_its_id(
    staff: Client, build_model: BuildModel, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    model = build_model("one")
    form = {
        "id": "renamed",
        "provider": "acme",
        "name": "One",
        "upstream_name": "one",
        "kind": "chat",
        "context_window": 9_000,
        "max_output": 900,
        "capabilities": ["tools", "vision"],
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "created_at_0": "2026-01-02",
        "created_at_1": "03:04",
        "life_cycle": "retired",
        "reason": "Its provider has retired it",
    }
    for inline in ("prices", "aliases", "routes"):
        form |= {f"{inline}-TOTAL_FORMS": 0, f"{inline}-INITIAL_FORMS": 0}

    with django_capture_on_commit_callbacks(execute=True):
        answer = staff.post(f"/admin/catalog/catalogmodel/{model.pk}/change/", form)

    model.refresh_from_db()
    assert answer.status_code == 302
    assert (model.life_cycle, model.capabilities, model.is_listed) == ("retired", ["tools", "vision"], False)
    assert not CatalogModel.objects.filter(pk="renamed").exists()
    assert _announced() == 1


def test_the_page_for_a_price_says_the_units_and_fits_the_screen(
    staff: Client, build_model: BuildModel
) -> None:
    html = staff.get(f"/admin/catalog/price/add/?model={build_model('one').pk}").content.decode()

    assert "USD per 1M tokens" in html
    # A row of a table for each tier would be fifteen fields wide.
    assert "tabular" not in html


def test_a_large_context_window_can_be_read(staff: Client, build_model: BuildModel) -> None:
    html = staff.get(f"/admin/catalog/catalogmodel/{build_model('one').pk}/change/").content.decode()

    assert 'class="vBigIntegerField"' in html.split('name="context_window"')[1].split(">")[0]
