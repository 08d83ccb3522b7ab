"""Staff of the catalog decides on price proposals, sees before what a price changes and for whom; others may not."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.audit_entry import AuditEntry
from accounts.models import User
from catalog import price_sync
from catalog.importing import read_package
from catalog.loading import load_offers, load_providers
from catalog.models import CatalogModel, Price, PriceSource
from catalog.offers import read_product, read_providers
from catalog.proposals import PriceProposal
from tests.billing.cast import make_organization
from tests.catalog.builders import add_rates, tier
from tests.staff import lists
from tests.staff.cast import desk, used

pytestmark = pytest.mark.django_db


@pytest.fixture
def proposed() -> dict[str, PriceProposal]:
    """Return what stands after the older list was loaded and the newer one compared."""
    now = timezone.now()
    load_providers(read_providers(), for_development=False)
    load_offers(read_product(), source=PriceSource.PRODUCT, now=now)
    offers, _ = read_package(lists.recorded(lists.OLDER), read_providers(), now=now)
    load_offers(offers, source=PriceSource.GENAI_PRICES, now=now)
    price_sync.compare(lists.recorded(lists.CURRENT), version=lists.CURRENT, now=now + timedelta(seconds=1))
    return {row.model_name: row for row in PriceProposal.objects.all()}


def _decide(client: Client, *chosen: PriceProposal, **more: Any) -> Any:
    form = {"chosen": [row.pk for row in chosen], "reason": "The list says so.", **more}
    return client.post(reverse("decide-prices"), form)


def test_a_proposal_is_previewed_and_becomes_a_price_when_confirmed(
    proposed: dict[str, PriceProposal],
) -> None:
    acme, other = make_organization("a@example.org"), make_organization("b@example.org")
    used(acme, "claude-sonnet-5", cost_nano=18_000_000_000)
    used(acme, "claude-sonnet-5", days_ago=2, key_id="key_2")
    used(other, "claude-sonnet-5", days_ago=30)
    used(other, "claude-sonnet-5", days_ago=31, requests=500)
    catalog, row = desk("catalog"), proposed["claude-sonnet-5"]

    preview = _decide(catalog, row, _preview="1")
    page = preview.content.decode()
    before = Price.objects.filter(model="claude-sonnet-5").count()
    answer = _decide(catalog, row, _confirm="1")

    assert preview.status_code == 200
    assert before == 1
    # Three million tokens each way: 3 of (3 + 15) before, 3 of (2 + 10) after.
    (effect, start) = preview.context["effects"][0]
    assert (effect.usage.organizations, effect.usage.requests) == (2, 30)
    assert (effect.before_nano, effect.after_nano) == (54_000_000_000, 36_000_000_000)
    assert (effect.difference_percent, start) == ("-33.3 %", None)
    assert "-33.3 %" in page
    assert answer.status_code == 302
    price = Price.objects.filter(model="claude-sonnet-5").latest("valid_from")
    assert price.tiers.get().output == 10_000_000
    assert AuditEntry.objects.get(what="price_proposal.accepted").email == "catalog@example.org"


def test_several_proposals_may_begin_later_together(proposed: dict[str, PriceProposal]) -> None:
    later = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    when = {"effective_at_0": f"{later:%Y-%m-%d}", "effective_at_1": f"{later:%H:%M:%S}"}

    _decide(desk("catalog"), proposed["kimi-k3"], proposed["gpt-5.5"], _confirm="1", **when)

    assert set(Price.objects.filter(valid_from=later).values_list("model", flat=True)) == {
        "kimi-k3",
        "gpt-5.5",
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reason": " "}, "This field is required"),
        ({"chosen": []}, "Tick at least one model"),
        ({"effective_at_0": "2026-01-01", "effective_at_1": "00:00"}, "must begin now or later"),
    ],
)
def test_what_is_wrong_with_a_decision_is_told_and_nothing_changes(
    proposed: dict[str, PriceProposal], change: dict[str, Any], told: str
) -> None:
    answer = _decide(desk("catalog"), proposed["kimi-k3"], _confirm="1", **change)

    assert answer.status_code == 422
    assert told in answer.content.decode()
    proposed["kimi-k3"].refresh_from_db()
    assert proposed["kimi-k3"].state == "open"


def test_the_owners_prices_have_no_box_to_tick_and_are_refused_when_sent(
    proposed: dict[str, PriceProposal],
) -> None:
    catalog, pinned = desk("catalog"), proposed["deepseek-v4-pro"]

    page = catalog.get(reverse("price-proposals")).content.decode()
    for button in ("_preview", "_confirm", "_dismiss"):
        _decide(catalog, pinned, **{button: "1"})

    assert f'value="{proposed["kimi-k3"].pk}"' in page
    assert pinned.pk not in page
    assert "Pinned by the owner" in page
    pinned.refresh_from_db()
    assert pinned.state == "reported"
    assert Price.objects.filter(model="deepseek-v4-pro").count() == 1


def test_what_is_dismissed_is_shown_with_its_reason(proposed: dict[str, PriceProposal]) -> None:
    catalog = desk("catalog")

    _decide(catalog, proposed["kimi-k3"], _dismiss="1")

    page = catalog.get(reverse("price-proposals")).content.decode()
    assert "The list says so." in page
    assert proposed["kimi-k3"].pk not in page


@pytest.mark.parametrize("role", ["support", "finance", "operations"])
def test_other_roles_neither_compare_nor_decide(proposed: dict[str, PriceProposal], role: str) -> None:
    client = desk(role)

    assert client.post(reverse("compare-prices")).status_code == 403
    assert _decide(client, proposed["kimi-k3"], _confirm="1").status_code == 403
    assert client.post("/admin/catalog/price/add/", {"_seen": "1"}).status_code == 403
    page = client.get(reverse("price-proposals"))
    assert page.status_code == 200
    assert "Compare now" not in page.content.decode()


def test_the_button_compares_with_the_installed_list_in_few_queries(
    proposed: dict[str, PriceProposal], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    catalog = desk("catalog")

    answer = catalog.post(reverse("compare-prices"), follow=True)
    with django_assert_max_num_queries(20):
        catalog.get(reverse("price-proposals"))

    assert f"genai-prices {price_sync.installed_version()}" in answer.content.decode()


# The page that adds a price.


def _typed(model: str, **changes: Any) -> dict[str, Any]:
    rates = {"above_tokens": 0, "input": "4", "cached_input": "4", "cache_write": "4", "output": "14"}
    form = {"model": model, "valid_from_0": "", "valid_from_1": "", "reason": "Dearer"}
    form |= {"tiers-TOTAL_FORMS": "1", "tiers-INITIAL_FORMS": "0"}
    return form | {f"tiers-0-{name}": value for name, value in rates.items()} | changes


def test_a_price_is_not_added_before_staff_has_seen_what_it_changes(
    proposed: dict[str, PriceProposal],
) -> None:
    add_rates(CatalogModel.objects.get(pk="kimi-k3"), tier(2_000_000, 7_000_000))
    used(make_organization(), "kimi-k3")
    catalog = desk("catalog")

    preview = catalog.post(reverse("add-price"), _typed("kimi-k3"))
    seen = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', preview.content.decode())
    kept = Price.objects.filter(model="kimi-k3").count()
    answer = catalog.post(reverse("add-price"), dict(seen) | {"_seen": "Add the price"})

    (effect, _start) = preview.context["effects"][0]
    assert (effect.usage.organizations, effect.before_nano, effect.after_nano) == (
        1,
        9_000_000_000,
        18_000_000_000,
    )
    assert effect.difference_percent == "+100.0 %"
    assert (kept, answer.status_code) == (2, 302)
    assert Price.objects.filter(model="kimi-k3").latest("valid_from").tiers.get().output == 14_000_000


def test_rates_that_make_no_price_go_back_to_the_form(proposed: dict[str, PriceProposal]) -> None:
    page = desk("catalog").post(reverse("add-price"), _typed("kimi-k3", **{"tiers-0-above_tokens": "5"}))

    assert "needs a base tier" in page.content.decode()


def test_who_may_not_see_prices_sees_no_preview(proposed: dict[str, PriceProposal]) -> None:
    guest = User.objects.create_user("guest@example.org", is_staff=True)
    guest.user_permissions.add(Permission.objects.get(codename="add_price"))
    client = Client()
    client.force_login(guest)

    assert client.post(reverse("add-price"), _typed("kimi-k3")).status_code == 403
