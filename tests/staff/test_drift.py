"""The drift report tells where zero markup is broken, in which direction, and what each model earned, exactly."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from billing.models import BillFile, ProviderBill, ServedDay
from billing.provider_costs import Billed
from catalog.channels import add_channel
from catalog.models import CatalogModel, Channel, Provider
from fastanchor.staff import drift
from tests.billing.cast import make_organization
from tests.catalog.builders import add_rates, tier
from tests.staff.cast import desk, used

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalog() -> None:
    call_command("load_catalog", verbosity=0)


def _report() -> dict[str, drift.Drift]:
    return {line.model_id: line for line in drift.report(now=timezone.now())}


def _rows(browser: Client | None = None) -> list[dict[str, str]]:
    sent = (browser or desk("finance")).get(reverse("drift-download")).content.decode()
    return list(csv.DictReader(io.StringIO(sent)))


def test_the_product_pages_prices_drift_as_the_owner_knows_and_all_others_hold(catalog: None) -> None:
    broken = {name: line.alarm for name, line in _report().items() if line.alarm}

    # Both are dearer than the list for input, and cheaper for output.
    assert broken.keys() == {"deepseek-v4-flash", "deepseek-v4-pro"}
    assert _report()["qwen-3.7-max"].verdict == drift.UNLISTED


def test_a_price_above_or_below_the_list_is_an_alarm_in_its_direction(catalog: None) -> None:
    dear, cheap = (CatalogModel.objects.get(pk=name) for name in ("command-r7b", "command-r"))
    add_rates(dear, tier(9_000_000, 9_000_000))
    add_rates(cheap, tier(1, 1))

    found = _report()

    assert (found["command-r7b"].alarm, found["command-r"].alarm) == (drift.ABOVE, drift.BELOW)


def test_the_margin_is_revenue_less_the_lists_price_of_the_same_tokens(catalog: None) -> None:
    acme = make_organization()
    # A million tokens each way: 0.15 + 0.60 on the list.
    used(acme, "command-r", provider_id="cohere", cost_nano=750_000_000)
    used(acme, "command-r7b", provider_id="cohere", cost_nano=7_000_000_000)

    fair, dear = _report()["command-r"], _report()["command-r7b"]

    assert (fair.margin_nano, fair.alarm, fair.margin_percent) == (0, "", "0.0 %")
    assert dear.list_nano == 187_500_000
    assert (dear.margin_nano, dear.alarm) == (6_812_500_000, "earned more")


def test_what_customers_pay_their_providers_themselves_is_no_loss(catalog: None) -> None:
    ours, own = make_organization("a@example.org"), make_organization("b@example.org")
    used(ours, "command-r", provider_id="cohere", cost_nano=750_000_000)
    used(own, "command-r", provider_id="cohere", cost_nano=0)
    channel = Channel(
        provider=Provider.objects.get(pk="cohere"),
        name="own",
        base_url="https://x.example/v1",
        dedicated_to=own,
    )
    add_channel(channel=channel, credential="sk-own-0123456789")
    Channel.objects.filter(pk=channel.pk).update(own_key="first")

    line = _report()["command-r"]

    assert (line.usage.cost_nano, line.margin_nano, line.alarm) == (750_000_000, 0, "")


def test_finance_reads_the_report_and_downloads_it_in_few_queries(
    catalog: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    used(make_organization(), "command-r7b", cost_nano=7_000_000_000)
    finance = desk("finance")

    with django_assert_max_num_queries(20):
        page = finance.get(reverse("drift-report")).content.decode()
    rows = _rows(finance)

    assert "Broken: earned more" in page
    (row,) = [row for row in rows if row["model"] == "command-r7b"]
    assert (row["revenue_nano_usd"], row["margin_nano_usd"]) == ("7000000000", "6812500000")
    assert len(rows) == CatalogModel.objects.count()


def test_what_providers_billed_stands_beside_what_was_charged_for_the_same_days(catalog: None) -> None:
    today = timezone.now().date()
    yesterday, before = today - timedelta(days=1), today - timedelta(days=2)
    bill = BillFile.objects.create(
        provider_id="cohere", name="c.csv", sha256="0" * 64, lines=2, first_day=before, last_day=yesterday,
        amount_nano=700, reason="Invoice", uploaded_by="user:1",
    )  # fmt: skip
    called = CatalogModel.objects.get(pk="command-r").upstream_name or "command-r"
    for day, nano, is_current in ((yesterday, 600, True), (before, 100, False)):
        ProviderBill.objects.create(
            file=bill, provider_id="cohere", day=day, model=called, amount_nano=nano, is_current=is_current
        )
    for day, provider in ((yesterday, "cohere"), (before, "cohere"), (yesterday, "openai")):
        ServedDay.objects.create(
            day=day, provider_id=provider, model_id="command-r", requests=1, cost_nano=590
        )

    found = _report()

    assert found["command-r"].billed == Billed(nano=600, charged_nano=590)
    assert found["command-r7b"].billed is None
    (row,) = [row for row in _rows() if row["model"] == "command-r"]
    assert (row["billed_nano_usd"], row["charged_for_the_billed_days_nano_usd"]) == ("600", "590")


@pytest.mark.parametrize("role", ["support", "operations"])
def test_what_models_earn_is_not_for_everybody(catalog: None, role: str) -> None:
    client = desk(role)

    assert client.get(reverse("drift-report")).status_code == 403
    assert client.get(reverse("drift-download")).status_code == 403
