"""The price sync finds exactly what differs between two versions of the list, proposes it, and changes no price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.audit import NoReason
from accounts.audit_entry import AuditEntry
from accounts.models import User
from catalog import price_decisions, price_diff, price_sync
from catalog.importing import read_package
from catalog.loading import load_offers, load_providers
from catalog.models import CatalogModel, LifeCycle, Price, PriceSource
from catalog.offers import read_product, read_providers
from catalog.prices import PriceInPast
from catalog.proposals import Finding, ListComparison, PriceProposal, ProposalState
from catalog.publish import build_snapshot
from tests.catalog.builders import add_rates, tier
from tests.staff import lists

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def catalog() -> None:
    """Load the product page and what the older version of the package listed."""
    load_providers(read_providers(), for_development=False)
    load_offers(read_product(), source=PriceSource.PRODUCT, now=NOW)
    offers, _ = read_package(lists.recorded(lists.OLDER), read_providers(), now=NOW)
    load_offers(offers, source=PriceSource.GENAI_PRICES, now=NOW)


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada@example.org")


def _compare(version: str = lists.CURRENT, now: datetime = NOW) -> price_sync.Compared:
    return price_sync.compare(lists.recorded(version), version=version, now=now)


def _standing() -> dict[str, PriceProposal]:
    return {row.model_name: row for row in PriceProposal.objects.filter(state__in=price_sync.STANDING)}


def _said(name: str) -> set[tuple[str, str, int | None, int | None, str]]:
    row = PriceProposal.objects.get(model_name=name, state__in=price_sync.STANDING)
    found = price_diff.lines(price_sync.restored(row.ours), price_sync.restored(row.listed))
    return {(line.where, line.rate, line.before, line.after, line.change) for line in found}


def test_two_versions_of_the_list_give_exactly_their_differences(catalog: None) -> None:
    _compare()

    found = {name: (row.finding, row.state, row.is_pinned) for name, row in _standing().items()}
    assert found == {
        "claude-sonnet-5": ("changed", "open", False),
        "gemini-3.6-flash": ("changed", "open", False),
        "gpt-5.5": ("changed", "open", False),
        "kimi-k3": ("changed", "open", False),
        "claude-haiku-5-5": ("new", "reported", False),
        "kimi-k2.5": ("gone", "reported", False),
        # The owner's: the list has other prices for two of them, and does not know three.
        "deepseek-v4-flash": ("changed", "reported", True),
        "deepseek-v4-pro": ("changed", "reported", True),
        "claude-haiku-4-20250514": ("gone", "reported", True),
        "gemini-3.0-pro": ("gone", "reported", True),
        "qwen-3.7-max": ("gone", "reported", True),
    }
    assert _said("claude-sonnet-5") == {
        ("usual", "Input", 3_000_000, 2_000_000, "-33.3 %"),
        ("usual", "Cached input", 300_000, 200_000, "-33.3 %"),
        ("usual", "Cache write", 3_750_000, 2_500_000, "-33.3 %"),
        ("usual", "Cache write, 1 h", 6_000_000, 4_000_000, "-33.3 %"),
        ("usual", "Output", 15_000_000, 10_000_000, "-33.3 %"),
    }
    assert _said("kimi-k3") == {("usual", "Cache write, 1 h", None, 6_000_000, "new")}
    assert ("above 272,000 tokens", "Output", None, 45_000_000, "new") in _said("gpt-5.5")
    assert _standing()["kimi-k2.5"].note == "deprecated by its provider"


def test_the_same_version_gives_nothing_but_what_is_pinned(catalog: None) -> None:
    _compare(lists.OLDER)

    assert {row.is_pinned for row in _standing().values()} == {True}


def test_comparing_twice_changes_nothing_and_no_price_is_ever_added(catalog: None) -> None:
    prices = set(Price.objects.values_list("pk", flat=True))
    _compare()
    before = list(PriceProposal.objects.order_by("pk").values())

    again = _compare(now=NOW + timedelta(hours=1))

    assert (again.proposed, again.overtaken) == ([], [])
    assert list(PriceProposal.objects.order_by("pk").values()) == before
    assert ListComparison.objects.count() == 1
    assert set(Price.objects.values_list("pk", flat=True)) == prices


def test_a_comparison_takes_a_fixed_number_of_queries(
    catalog: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(20):
        price_sync.compare_installed(now=NOW)

    assert PriceProposal.objects.filter(finding=Finding.NEW).count() > 100


def test_an_accepted_proposal_is_the_lists_price_from_now_on_and_is_audited(catalog: None, ada: User) -> None:
    _compare()
    old = Price.objects.get(model="claude-sonnet-5")

    (price,) = price_decisions.accept(
        proposal_ids=[_standing()["claude-sonnet-5"].pk], reason=" Cheaper since June. ", by=ada
    )

    model = build_snapshot().models["claude-sonnet-5"]
    assert model.price_at(timezone.now().timestamp() + 1).tiers[0].rates.output == 10_000_000
    assert model.price_at(price.valid_from.timestamp() - 1).id == old.pk
    row = PriceProposal.objects.get(price=price)
    assert (row.state, row.decided_by, row.reason) == ("accepted", ada, "Cheaper since June.")
    entry = AuditEntry.objects.get(what="price_proposal.accepted")
    assert (entry.user_id, entry.reason) == (ada.pk, "Cheaper since June.")
    assert "output 15000000" in entry.before["ours"][0]
    assert "output 10000000" in entry.after["list"][0]
    _compare(now=timezone.now() + timedelta(minutes=1))
    assert "claude-sonnet-5" not in _standing()


def test_an_accepted_price_may_begin_later_and_is_not_proposed_again_meanwhile(
    catalog: None, ada: User
) -> None:
    _compare()
    later = timezone.now() + timedelta(days=3)

    price_decisions.accept(
        proposal_ids=[_standing()["claude-sonnet-5"].pk], reason="After our mail.", by=ada, effective_at=later
    )
    _compare(now=timezone.now() + timedelta(hours=1))

    assert "claude-sonnet-5" not in _standing()
    model = build_snapshot().models["claude-sonnet-5"]
    assert model.price_at(later.timestamp() - 2).tiers[0].rates.output == 15_000_000
    assert model.price_at(later.timestamp() + 2).tiers[0].rates.output == 10_000_000


def test_a_price_that_the_list_announces_begins_when_the_list_says(catalog: None, ada: User) -> None:
    _compare()
    price_decisions.accept(proposal_ids=[_standing()["gemini-3.6-flash"].pk], reason="Cheaper now.", by=ada)

    _compare(now=NOW + timedelta(days=1))

    announced = _standing()["gemini-3.6-flash"]
    assert announced.listed_from == NEW_YEAR
    assert price_decisions.starts_at(announced, None, now=NOW) == NEW_YEAR


def test_a_price_never_begins_in_the_past(catalog: None, ada: User) -> None:
    _compare()
    row = _standing()["claude-sonnet-5"]

    with pytest.raises(PriceInPast), transaction.atomic():
        price_decisions.accept(
            proposal_ids=[row.pk], reason="No.", by=ada, effective_at=timezone.now() - timedelta(minutes=1)
        )

    row.refresh_from_db()
    assert row.state == ProposalState.OPEN


@pytest.mark.parametrize("name", ["deepseek-v4-pro", "claude-haiku-5-5", "kimi-k2.5", "gemini-3.0-pro"])
def test_what_is_pinned_or_has_no_price_cannot_be_accepted_and_spoils_the_whole_lot(
    catalog: None, ada: User, name: str
) -> None:
    _compare()
    before = Price.objects.count()
    both = [_standing()[name].pk, _standing()["kimi-k3"].pk]

    with pytest.raises(price_decisions.NotDecidable) as refused, transaction.atomic():
        price_decisions.accept(proposal_ids=both, reason="Why not?", by=ada)

    assert refused.value.names == [name]
    assert Price.objects.count() == before
    assert _standing()["kimi-k3"].state == ProposalState.OPEN


def test_the_database_refuses_an_accepted_proposal_of_a_pinned_price(catalog: None) -> None:
    _compare()
    pinned = PriceProposal.objects.filter(is_pinned=True, finding=Finding.CHANGED)

    with pytest.raises(IntegrityError), transaction.atomic():
        pinned.update(state=ProposalState.ACCEPTED)


def test_every_decision_needs_a_reason(catalog: None, ada: User) -> None:
    _compare()
    ids = [_standing()["kimi-k3"].pk]

    for decide in (price_decisions.accept, price_decisions.dismiss):
        with pytest.raises(NoReason):
            decide(proposal_ids=ids, reason="  ", by=ada)


def test_what_is_dismissed_stays_quiet_until_the_list_changes_again(catalog: None, ada: User) -> None:
    _compare()
    ids = [_standing()["claude-sonnet-5"].pk, _standing()["claude-haiku-5-5"].pk]

    assert price_decisions.dismiss(proposal_ids=ids, reason="We wait.", by=ada) == 2
    _compare(now=NOW + timedelta(days=1))
    quiet = _standing()
    dearer = lists.recorded(lists.CURRENT)
    (sonnet,) = (model for each in dearer for model in each.models if model.id == "claude-sonnet-5")
    sonnet.prices.output_mtok *= 2  # type: ignore[union-attr, operator]
    price_sync.compare(dearer, version="9.9.9", now=NOW + timedelta(days=2))

    assert not {"claude-sonnet-5", "claude-haiku-5-5"} & quiet.keys()
    assert "claude-haiku-5-5" not in _standing()
    assert ("usual", "Output", 15_000_000, 20_000_000, "+33.3 %") in _said("claude-sonnet-5")


def test_a_proposal_is_overtaken_when_our_price_or_the_list_moves_on(catalog: None) -> None:
    _compare()
    first = _standing()["kimi-k3"]
    add_rates(CatalogModel.objects.get(pk="kimi-k3"), tier(5, 6))

    _compare(now=timezone.now() + timedelta(minutes=1))
    second = _standing()["kimi-k3"]
    CatalogModel.objects.filter(pk="kimi-k3").update(life_cycle=LifeCycle.RETIRED)
    _compare(now=timezone.now() + timedelta(minutes=2))

    first.refresh_from_db()
    second.refresh_from_db()
    assert first.pk != second.pk
    assert (first.state, second.state) == (ProposalState.OVERTAKEN, ProposalState.OVERTAKEN)
    assert "kimi-k3" not in _standing()


def test_a_deploy_adds_new_models_and_leaves_changed_prices_to_staff(catalog: None) -> None:
    offers, _ = read_package(lists.recorded(lists.CURRENT), read_providers(), now=NOW)

    loaded = load_offers(offers, source=PriceSource.GENAI_PRICES, now=NOW, may_succeed=False)

    assert [row.pk for row in loaded.models] == ["claude-haiku-5-5"]
    assert loaded.succeeded == []
    assert loaded.waiting == ["claude-sonnet-5", "gemini-3.6-flash", "gpt-5.5", "kimi-k3"]
    assert Price.objects.filter(model="claude-haiku-5-5").exists()
    assert Price.objects.filter(model="claude-sonnet-5").count() == 1
