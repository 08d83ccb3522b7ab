"""The database itself keeps prices as they are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from catalog.models import CatalogModel, Price, PriceTier, Provider
from catalog.prices import PriceInPast, add_price, tier_rows
from catalog.snapshot import Tier
from catalog.tiers import BadTiers
from tests.catalog.builders import BuildModel, add_rates, tier


@pytest.fixture
def price(build_model: BuildModel) -> Price:
    return build_model("one").prices.get()


def test_a_price_cannot_be_updated(price: Price) -> None:
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        Price.objects.filter(pk=price.pk).update(valid_from=timezone.now())


def test_a_price_cannot_be_deleted(price: Price) -> None:
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        Price.objects.filter(pk=price.pk)._raw_delete("default")


def test_a_tier_cannot_be_updated(price: Price) -> None:
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        PriceTier.objects.filter(price=price).update(input=1)


def test_a_tier_cannot_be_deleted(price: Price) -> None:
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        PriceTier.objects.filter(price=price).delete()


def test_a_tier_cannot_join_a_price_of_an_earlier_transaction(build_model: BuildModel) -> None:
    model = build_model("one")
    _sql("SET CONSTRAINTS ALL IMMEDIATE", "ALTER TABLE catalog_price DISABLE TRIGGER price_is_stamped")
    price = Price(model=model, created_at=timezone.now() - timedelta(seconds=1))
    _sql("SET CONSTRAINTS ALL DEFERRED")

    with pytest.raises(IntegrityError, match="only in the transaction"):
        _save(price, tier(3, 8))


def test_a_price_carries_the_time_of_its_transaction_whatever_is_written(build_model: BuildModel) -> None:
    model = build_model("one")
    price = Price(model=model, created_at=timezone.now() - timedelta(days=9))
    add_price(price=price, tiers=[tier(3, 8)])

    price.refresh_from_db()

    assert price.created_at == model.prices.earliest("valid_from").created_at


def test_a_price_without_a_base_tier_cannot_be_committed(build_model: BuildModel) -> None:
    model = build_model("one")

    with pytest.raises(IntegrityError, match="no base tier"):
        _save(Price(model=model), tier(3, 8, above=1))


def test_two_prices_cannot_begin_at_the_same_moment(build_model: BuildModel) -> None:
    model, later = build_model("one"), timezone.now() + timedelta(days=1)
    add_rates(model, tier(3, 8), valid_from=later)

    with pytest.raises(IntegrityError), transaction.atomic():
        add_rates(model, tier(4, 9), valid_from=later)


def test_a_price_in_the_past_is_refused_once_the_model_has_one(build_model: BuildModel) -> None:
    with pytest.raises(PriceInPast):
        add_rates(build_model("one"), tier(3, 8), valid_from=timezone.now() - timedelta(seconds=1))


def test_tiers_that_make_no_price_are_refused(build_model: BuildModel) -> None:
    model = build_model("one")

    with pytest.raises(BadTiers):
        add_price(price=Price(model=model), tiers=[tier(3, 8, above=5)])
    with pytest.raises(BadTiers):
        add_price(price=Price(model=model), tiers=[tier(3, 8), tier(4, 9)])


@pytest.mark.parametrize("model_id", ["", "GPT", "-gpt", "gpt 4", "gpt\n"])
def test_a_model_id_must_be_plain(acme: Provider, model_id: str) -> None:
    row = CatalogModel(
        id=model_id, provider=acme, name="x", upstream_name="x", context_window=1, max_output=1
    )

    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_the_migrations_can_be_taken_back_and_applied_again(db: None) -> None:
    call_command("migrate", "catalog", "zero", verbosity=0)
    left = (
        _count("pg_proc WHERE proname LIKE 'catalog\\_%%'"),
        _count("pg_tables WHERE tablename LIKE 'catalog\\_%%'"),
    )
    call_command("migrate", "catalog", verbosity=0)

    assert left == (0, 0)
    assert _count("pg_proc WHERE proname LIKE 'catalog\\_%%'") == 5
    assert _count("pg_trigger WHERE tgname LIKE 'price\\_%%'") == 6


@transaction.atomic
def _save(price: Price, *tiers: Tier) -> None:
    price.save(force_insert=True)
    PriceTier.objects.bulk_create(tier_rows(price, tiers))
    _sql("SET CONSTRAINTS ALL IMMEDIATE")


def _sql(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _count(condition: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {condition}", [])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def test_windows_can_be_taken_back_and_the_usual_rates_stay(build_model: BuildModel) -> None:
    model = build_model("one")
    add_rates(model, tier(3, 8), Tier(0, tier(4, 9).rates, "01:00-04:00"))
    CatalogModel.objects.filter(pk="one").update(kind="embedding", max_output=0)
    _sql("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "catalog", "0002", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT input FROM catalog_pricetier ORDER BY input")
        left = cursor.fetchall()
    call_command("migrate", "catalog", verbosity=0)

    assert left == [(2,), (3,)]
    assert CatalogModel.objects.get().max_output == 1
