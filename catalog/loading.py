"""Offers into tables: adds what is new, brings models up to date, succeeds prices that changed and edits none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from accounts import audit
from catalog.environment import NAME as ENVIRONMENT
from catalog.importing import Skipped
from catalog.models import CatalogModel, Channel, ModelAlias, Price, PriceSource, PriceTier, Provider
from catalog.offers import DatedTiers, Offer, ProviderOffer
from catalog.prices import tier_rows
from catalog.publish import announce_catalog, tier_of
from catalog.snapshot import Tier

_LOCK = 0x0FA_CA7A106
# A revision of a price announced for a later moment begins this much after it: one price per model and moment.
_REVISION = timedelta(microseconds=1)
_SAME_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class KnownPrice:
    """A price that stands in the table, or is about to."""

    valid_from: datetime
    source: str
    tiers: tuple[Tier, ...]


@dataclass(slots=True)
class Loaded:
    """What a load did: ``renewed`` are models of earlier loads, ``succeeded`` later prices of models that had one.

    ``waiting`` names the models of which a later price was offered and not taken, for staff decides on it.
    """

    models: list[CatalogModel] = field(default_factory=list)
    renewed: list[CatalogModel] = field(default_factory=list)
    first_prices: list[Price] = field(default_factory=list)
    succeeded: list[Price] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


@transaction.atomic
def load_providers(offers: Sequence[ProviderOffer], *, for_development: bool) -> list[Provider]:
    """Add the providers that are missing and return them.

    Those that stand as an earlier version made them get today's adapter and address, and so do their channels from
    the environment.
    """
    wait_for_other_loads()
    present = Provider.objects.in_bulk()
    for offer in offers:
        if offer.slug in present:
            _renew_provider(present[offer.slug], offer)
    missing = [
        Provider(
            slug=offer.slug,
            name=offer.name,
            key_variable=offer.key_variable,
            base_url=offer.base_url,
            adapter=offer.adapter,
        )
        for offer in offers
        if offer.slug not in present and (for_development or not offer.development_only)
    ]
    return Provider.objects.bulk_create(missing)


def _renew_provider(row: Provider, offer: ProviderOffer) -> None:
    if (row.adapter, row.base_url) not in offer.former:
        return
    channels = Channel.objects.filter(
        provider=row, name=ENVIRONMENT, adapter=row.adapter, base_url=row.base_url
    )
    channels.update(adapter=offer.adapter, base_url=offer.base_url)
    row.adapter, row.base_url = offer.adapter, offer.base_url
    row.save(update_fields=["adapter", "base_url"])
    announce_catalog()


@transaction.atomic
def load_offers(
    offers: Sequence[Offer], *, source: PriceSource, now: datetime, may_succeed: bool = True
) -> Loaded:
    """Add the models and prices that are missing, in a fixed number of queries.

    A price of another source is never succeeded: staff's prices stay, and the product page's are not touched by
    an import. Without ``may_succeed`` only models that have no price get one.
    """
    wait_for_other_loads()
    loaded = Loaded()
    offers = _without_taken_names(offers, loaded)
    known = known_prices([offer.id for offer in offers])
    loaded.models = _add_models(offers)
    loaded.renewed = _renew_models([offer for offer in offers if _is_of(source, known[offer.id])])
    _add_aliases(offers)
    added = _new_prices(offers, known, source, now)
    if not may_succeed:
        loaded.waiting = sorted({offer.id for offer, _ in added if known[offer.id]})
        added = [(offer, price) for offer, price in added if not known[offer.id]]
    _add_prices(added, known, loaded)
    if loaded.models or loaded.renewed or loaded.succeeded:
        announce_catalog()
        _record(loaded)
    return loaded


def _record(loaded: Loaded) -> None:
    audit.record(
        "catalog.loaded",
        after={
            "models": [model.pk for model in loaded.models],
            "renewed": len(loaded.renewed),
            "new_prices": [price.model_id for price in loaded.succeeded],
        },
    )


def wait_for_other_loads() -> None:
    """Let one transaction at a time write what the files and the package say."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _without_taken_names(offers: Sequence[Offer], loaded: Loaded) -> list[Offer]:
    aliases = set(
        ModelAlias.objects.filter(name__in=[offer.id for offer in offers]).values_list("name", flat=True)
    )
    loaded.skipped = [
        Skipped(offer.id, "its id is another model's alias") for offer in offers if offer.id in aliases
    ]
    return [offer for offer in offers if offer.id not in aliases]


def _add_models(offers: Sequence[Offer]) -> list[CatalogModel]:
    present = set(
        CatalogModel.objects.filter(pk__in=[offer.id for offer in offers]).values_list("pk", flat=True)
    )
    return CatalogModel.objects.bulk_create(_row(offer) for offer in offers if offer.id not in present)


def _row(offer: Offer) -> CatalogModel:
    facts = _facts(offer)
    row = CatalogModel(
        id=offer.id, provider_id=offer.provider, upstream_name=offer.upstream_name, loaded=facts, **facts
    )
    if offer.created_at is not None:
        row.created_at = offer.created_at
    return row


def _facts(offer: Offer) -> dict[str, Any]:
    """Return what a later load may bring up to date."""
    return {
        "name": offer.name,
        "kind": offer.kind,
        "context_window": offer.context_window,
        "max_output": offer.max_output,
        "capabilities": list(offer.capabilities),
        "traits": list(offer.traits),
        "input_modalities": list(offer.input_modalities),
        "output_modalities": list(offer.output_modalities),
    }


def _is_of(source: str, prices: Sequence[KnownPrice]) -> bool:
    """Tell whether a model came from a source: its first price did."""
    return bool(prices) and prices[0].source == source


def _renew_models(offers: Sequence[Offer]) -> list[CatalogModel]:
    """Bring models of earlier loads up to date, but for what staff has changed since.

    A version that did not note what it had loaded left nothing to compare with: then all is brought up to date.
    """
    rows = CatalogModel.objects.in_bulk([offer.id for offer in offers])
    renewed = [rows[offer.id] for offer in offers if _renew(rows[offer.id], _facts(offer))]
    if renewed:
        CatalogModel.objects.bulk_update(renewed, [*renewed[0].loaded, "loaded"])
    return renewed


def _renew(row: CatalogModel, facts: Mapping[str, Any]) -> bool:
    if row.loaded == facts:
        return False
    for name, value in facts.items():
        if not row.loaded or getattr(row, name) == row.loaded.get(name):
            setattr(row, name, value)
    row.loaded = dict(facts)
    return True


def _add_aliases(offers: Sequence[Offer]) -> None:
    wanted = {name: offer.id for offer in offers for name in offer.aliases}
    taken = set(CatalogModel.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    ModelAlias.objects.bulk_create(
        (ModelAlias(name=name, model_id=model_id) for name, model_id in wanted.items() if name not in taken),
        ignore_conflicts=True,
    )


def _new_prices(
    offers: Sequence[Offer], known: Mapping[str, list[KnownPrice]], source: PriceSource, now: datetime
) -> list[tuple[Offer, KnownPrice]]:
    return [
        (offer, new)
        for offer in offers
        for new in successors(offer.prices, known[offer.id], source=source, now=now)
    ]


def _add_prices(
    added: Sequence[tuple[Offer, KnownPrice]], known: Mapping[str, list[KnownPrice]], loaded: Loaded
) -> None:
    tiers: list[PriceTier] = []
    for offer, new in added:
        price = Price(model_id=offer.id, valid_from=new.valid_from, source=new.source)
        (loaded.succeeded if known[offer.id] else loaded.first_prices).append(price)
        tiers += tier_rows(price, new.tiers)
    Price.objects.bulk_create(loaded.first_prices + loaded.succeeded)
    PriceTier.objects.bulk_create(tiers)


def known_prices(model_ids: Sequence[str]) -> Mapping[str, list[KnownPrice]]:
    """Return all prices of models by id, oldest first; no price where there is none."""
    known: defaultdict[str, list[KnownPrice]] = defaultdict(list)
    rows = Price.objects.filter(model__in=model_ids).order_by("valid_from")
    for row in rows.prefetch_related("tiers"):
        tiers = sorted(
            (tier_of(tier) for tier in row.tiers.all()), key=lambda tier: (tier.during, tier.above_tokens)
        )
        known[row.model_id].append(KnownPrice(row.valid_from, row.source, tuple(tiers)))
    return known


def successors(
    offered: Sequence[DatedTiers], known: Sequence[KnownPrice], *, source: str, now: datetime
) -> list[KnownPrice]:
    """Return the prices to add so that, from now on, what is in force is what is offered.

    Looks at each moment at which either side changes. Both sequences are oldest first.
    """
    later = {price.valid_from for price in offered if price.valid_from} | {
        price.valid_from for price in known
    }
    added: list[KnownPrice] = []
    for moment in [now, *sorted(moment for moment in later if moment > now)]:
        have = _in_force([*known, *added], moment)
        want = _offered_at(offered, moment)
        if have is None:
            added.append(KnownPrice(moment, source, want))
        elif have.source == source and have.tiers != want:
            added.append(KnownPrice(max(moment, have.valid_from + _REVISION), source, want))
    return added


def differences(
    offered: Sequence[DatedTiers], known: Sequence[KnownPrice], *, now: datetime
) -> list[tuple[datetime | None, tuple[Tier, ...], tuple[Tier, ...]]]:
    """Return where what is offered differs from what is known: from when (``None``: already), known, offered.

    Looks at each moment at which either side changes; what is known must hold something now.
    """
    later = {price.valid_from for price in offered if price.valid_from} | {
        price.valid_from for price in known
    }
    found: list[tuple[datetime | None, tuple[Tier, ...], tuple[Tier, ...]]] = []
    for moment in [None, *sorted(moment for moment in later if moment > now)]:
        have, want = _in_force(known, moment or now), _offered_at(offered, moment or now)
        if have is not None and have.tiers != want:
            found.append((moment, have.tiers, want))
    return found


def _in_force(prices: Sequence[KnownPrice], moment: datetime) -> KnownPrice | None:
    begun = [price for price in prices if price.valid_from < moment + _SAME_MOMENT]
    return max(begun, key=lambda price: price.valid_from, default=None)


def _offered_at(offered: Sequence[DatedTiers], moment: datetime) -> tuple[Tier, ...]:
    return [price.tiers for price in offered if price.valid_from is None or price.valid_from <= moment][-1]
