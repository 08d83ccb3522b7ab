"""Our prices beside the public list: finds what differs and proposes it, and never changes a price.

Safe to run any number of times: what stands as it was found stays, and what is no longer so is overtaken.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import Any

from django.db import transaction
from genai_prices.types import Provider as PackageProvider

from accounts import audit
from catalog.importing import Skipped, package_providers, read_package, read_pinned
from catalog.loading import KnownPrice, differences, known_prices, wait_for_other_loads
from catalog.models import CatalogModel, LifeCycle, ModelAlias, PriceSource
from catalog.offers import DatedTiers, read_product, read_providers
from catalog.proposals import Finding, ListComparison, PriceProposal, ProposalState
from catalog.snapshot import Rates, Tier

STANDING = (ProposalState.OPEN, ProposalState.REPORTED)
_MOST_NOTE = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One model of which the list says something else than we do."""

    model_name: str
    finding: Finding
    is_pinned: bool = False
    ours: tuple[Tier, ...] = ()
    listed: tuple[Tier, ...] = ()
    listed_from: datetime | None = None
    note: str = ""

    @property
    def fingerprint(self) -> str:
        """Name what the list says, whenever it begins."""
        said = [self.finding.value, stored(self.listed), self.note]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def state(self) -> ProposalState:
        """Say whether there is anything to decide."""
        decides = self.finding == Finding.CHANGED and not self.is_pinned
        return ProposalState.OPEN if decides else ProposalState.REPORTED


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison did: proposals that are new, and those that are overtaken."""

    comparison: ListComparison
    proposed: list[PriceProposal]
    overtaken: list[PriceProposal]


def installed_version() -> str:
    """Return the version of the package whose list this process has."""
    return metadata.version("genai-prices")


def compare_installed(*, now: datetime) -> Compared:
    """Compare with the list of the installed package."""
    return compare(package_providers, version=installed_version(), now=now)


def listed_tiers(packages: Iterable[PackageProvider], *, now: datetime) -> dict[str, tuple[Tier, ...]]:
    """Return what the list says now of each model that it has, by our id, the pinned ones among them."""
    reading = _list(list(packages), now)
    return {name: prices[0].tiers for name, prices in reading.prices.items()}


@transaction.atomic
def compare(packages: Iterable[PackageProvider], *, version: str, now: datetime) -> Compared:
    """Compare all our prices with a list and write down what differs, in a fixed number of queries."""
    wait_for_other_loads()
    reading = _read(list(packages), now)
    found = {each.model_name: each for each in _findings(reading, now)}
    comparison, _ = ListComparison.objects.update_or_create(
        version=version, day=now.date(), defaults={"compared_at": now, "models_compared": len(reading.prices)}
    )
    standing = {row.model_name: row for row in PriceProposal.objects.filter(state__in=STANDING)}
    overtaken = [row for name, row in standing.items() if not _still_so(row, found.get(name))]
    kept = standing.keys() - {row.model_name for row in overtaken}
    PriceProposal.objects.filter(pk__in=[row.pk for row in overtaken]).update(state=ProposalState.OVERTAKEN)
    proposed = PriceProposal.objects.bulk_create(
        _row(each, comparison) for name, each in sorted(found.items()) if name not in kept
    )
    if proposed or overtaken:
        after = {"version": version, "proposed": len(proposed), "overtaken": len(overtaken)}
        audit.record("price.compared", subject=f"genai-prices {version}", after=after)
    return Compared(comparison, proposed, overtaken)


@dataclass(frozen=True, slots=True)
class _List:
    """What the list says: prices by our id, what cannot be sold and why, and what the owner has pinned."""

    prices: Mapping[str, tuple[DatedTiers, ...]]
    skipped: Mapping[str, Skipped]
    pinned: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Reading(_List):
    """What the list says beside what we have: models that are sold, all names that are taken, prices by model."""

    sold: frozenset[str]
    taken: frozenset[str]
    known: Mapping[str, list[KnownPrice]]


def _list(packages: Sequence[PackageProvider], now: datetime) -> _List:
    rules, product = read_providers(), read_product()
    offers, skipped = read_package(packages, rules, now=now)
    pinned_prices, unlisted = read_pinned(packages, rules, product, now=now)
    return _List(
        prices={offer.id: offer.prices for offer in offers} | pinned_prices,
        skipped={each.id: each for each in [*skipped, *unlisted]},
        pinned=frozenset(offer.id for offer in product),
    )


def _read(packages: Sequence[PackageProvider], now: datetime) -> _Reading:
    present = dict(CatalogModel.objects.values_list("pk", "life_cycle"))
    sold = [name for name, life_cycle in present.items() if life_cycle != LifeCycle.RETIRED]
    list_ = _list(packages, now)
    return _Reading(
        prices=list_.prices,
        skipped=list_.skipped,
        pinned=list_.pinned,
        sold=frozenset(sold),
        # Retired models are not new when the list still has them, and neither is what we know by another name.
        taken=frozenset({*present, *ModelAlias.objects.values_list("name", flat=True)}),
        known=known_prices(sold),
    )


def _findings(reading: _Reading, now: datetime) -> Iterator[Found]:
    quiet = _decided(now)
    for name in sorted(reading.sold & reading.prices.keys()):
        if not reading.known[name]:
            continue
        for moment, ours, listed in differences(reading.prices[name], reading.known[name], now=now):
            found = Found(name, Finding.CHANGED, name in reading.pinned, ours, listed, moment)
            if (name, found.fingerprint) not in quiet:
                yield found
                break
    for found in [*_new(reading), *_gone(reading)]:
        if (found.model_name, found.fingerprint) not in quiet:
            yield found


def _new(reading: _Reading) -> Iterator[Found]:
    for name in reading.prices.keys() - reading.taken - reading.pinned:
        yield Found(name, Finding.NEW, listed=reading.prices[name][0].tiers)


def _gone(reading: _Reading) -> Iterator[Found]:
    for name in reading.sold - reading.prices.keys():
        known = reading.known[name]
        if not known or (name not in reading.pinned and known[0].source != PriceSource.GENAI_PRICES):
            continue
        why = reading.skipped.get(name)
        yield Found(
            name,
            Finding.GONE,
            name in reading.pinned,
            ours=known[-1].tiers,
            note=why.reason[:_MOST_NOTE] if why else "the list does not have it any more",
        )


def _decided(now: datetime) -> set[tuple[str, str]]:
    """Return what staff has decided and the list still says: dismissed, or accepted for later."""
    newest = PriceProposal.objects.filter(
        state__in=(ProposalState.DISMISSED, ProposalState.ACCEPTED)
    ).order_by("model_name", "-decided_at", "-pk")
    return {
        (row.model_name, row.fingerprint)
        for row in newest.distinct("model_name")
        if row.state == ProposalState.DISMISSED or (row.effective_at is not None and row.effective_at > now)
    }


def _still_so(row: PriceProposal, found: Found | None) -> bool:
    return found is not None and (row.finding, row.fingerprint, row.ours, row.listed_from, row.is_pinned) == (
        found.finding,
        found.fingerprint,
        stored(found.ours),
        found.listed_from,
        found.is_pinned,
    )


def _row(found: Found, comparison: ListComparison) -> PriceProposal:
    return PriceProposal(
        comparison=comparison,
        model_name=found.model_name,
        finding=found.finding,
        state=found.state,
        is_pinned=found.is_pinned,
        ours=stored(found.ours),
        listed=stored(found.listed),
        listed_from=found.listed_from,
        fingerprint=found.fingerprint,
        note=found.note,
    )


def stored(tiers: Sequence[Tier]) -> list[dict[str, Any]]:
    """Return tiers as JSON keeps them; rates that are not there are left out."""
    return [
        {
            "above_tokens": tier.above_tokens,
            "during": tier.during,
            "rates": {
                name: rate for name, rate in dataclasses.asdict(tier.rates).items() if rate is not None
            },
        }
        for tier in tiers
    ]


def restored(rows: Sequence[Mapping[str, Any]]) -> list[Tier]:
    """Return tiers as they were stored."""
    return [Tier(row["above_tokens"], Rates(**row["rates"]), row["during"]) for row in rows]
