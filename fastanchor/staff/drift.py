"""Our prices beside the public list, and what each model earned over the list's price of the same tokens.

Zero markup is broken in one direction or the other where a rate differs, or where 30 days of usage earned more than a
hundredth above or below the list. What the customer pays the provider itself (own keys) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from billing import model_usage, provider_costs
from billing.model_usage import ModelUsage
from billing.provider_costs import Billed
from catalog import price_diff, price_sync
from catalog.importing import package_providers
from catalog.listing import prices_in_force
from catalog.models import NOT_SOLD, CatalogModel, Channel
from catalog.offers import read_product
from catalog.price_diff import Line, percent
from catalog.publish import tier_of
from catalog.snapshot import Tier
from fastanchor.staff.price_effects import has_more_than_usual, usual_cost_nano

# Within a hundredth, what was rounded and what failed for our account may explain it.
_PART = 100
_SPAN = timedelta(days=30)

EQUAL, UNLISTED = "equal", "not on the list"
ABOVE, BELOW, MIXED = "above the list", "below the list", "above and below the list"


@dataclass(frozen=True, slots=True)
class Drift:
    """One model; money in nano-USD. ``list_nano`` is what its tokens cost at the list's usual rates.

    ``billed`` is what providers' bills say of it, where they tell models apart.
    """

    model_id: str
    provider_id: str
    is_pinned: bool
    lines: tuple[Line, ...]
    verdict: str
    usage: ModelUsage
    list_nano: int | None
    is_rough: bool
    billed: Billed | None = None

    @property
    def margin_nano(self) -> int | None:
        """What the model earned over the list's price."""
        return None if self.list_nano is None else self.usage.cost_nano - self.list_nano

    @property
    def margin_percent(self) -> str:
        """The same in percent of the list's price."""
        if self.margin_nano is None or not self.list_nano:
            return ""
        return percent(self.margin_nano, self.list_nano)

    @property
    def earns_otherwise(self) -> bool:
        """Tell whether usage earned something else than the list says, beyond what rounding explains."""
        if self.margin_nano is None or self.list_nano is None or self.is_rough:
            return False
        return abs(self.margin_nano) * _PART > self.list_nano + self.usage.requests

    @property
    def alarm(self) -> str:
        """Say how zero markup is broken; empty where it holds."""
        if self.verdict not in {EQUAL, UNLISTED}:
            return self.verdict
        if self.earns_otherwise:
            return "earned more" if (self.margin_nano or 0) > 0 else "earned less"
        return ""


def report(*, now: datetime) -> list[Drift]:
    """Return all models that are sold, alarms first, then those with most revenue; a fixed number of queries."""
    rows = CatalogModel.objects.exclude(life_cycle__in=NOT_SOLD).order_by("pk")
    models: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, provider, upstream_name in rows.values_list("pk", "provider_id", "upstream_name"):
        models[name], names[name] = provider, upstream_name or name
    prices = prices_in_force(models, at=now)
    ours = {name: sorted_tiers([tier_of(row) for row in price.tiers.all()]) for name, price in prices.items()}
    listed = price_sync.listed_tiers(package_providers, now=now)
    used = _paid_usage(now)
    billed = provider_costs.of_models(names, first=(now - _SPAN).date(), last=now.date())
    pinned = {offer.id for offer in read_product()}
    found = [
        _drift(name, provider, ours[name], listed.get(name), used.get(name, ModelUsage()), name in pinned)
        for name, provider in models.items()
        if name in ours
    ]
    found = [replace(each, billed=billed.get(each.model_id)) for each in found]
    return sorted(found, key=lambda each: (not each.alarm, -each.usage.cost_nano, each.model_id))


def sorted_tiers(tiers: list[Tier]) -> tuple[Tier, ...]:
    """Return tiers in the order in which the list has them."""
    return tuple(sorted(tiers, key=lambda tier: (tier.during, tier.above_tokens)))


def _paid_usage(now: datetime) -> Mapping[str, ModelUsage]:
    used = model_usage.by_model(now=now)
    own = Channel.objects.exclude(own_key="").values_list("dedicated_to", "provider")
    pairs = [(organization or "", provider) for organization, provider in own]
    for name, part in (model_usage.of_pairs(now=now, pairs=pairs) if pairs else {}).items():
        used[name] = model_usage.less(used[name], part)
    return used


def _drift(
    name: str,
    provider: str,
    ours: tuple[Tier, ...],
    listed: tuple[Tier, ...] | None,
    usage: ModelUsage,
    is_pinned: bool,  # noqa: FBT001
) -> Drift:
    lines = tuple(price_diff.lines(listed, ours)) if listed is not None else ()
    return Drift(
        model_id=name,
        provider_id=provider,
        is_pinned=is_pinned,
        lines=lines,
        verdict=UNLISTED if listed is None else _verdict(lines),
        usage=usage,
        list_nano=None if listed is None else usual_cost_nano(listed, usage),
        is_rough=has_more_than_usual(listed or ours),
    )


def _verdict(lines: tuple[Line, ...]) -> str:
    if not lines:
        return EQUAL
    # What one side does not price apart is neither dearer nor cheaper by that alone.
    above = any(
        each.after > each.before for each in lines if each.before is not None and each.after is not None
    )
    below = any(
        each.after < each.before for each in lines if each.before is not None and each.after is not None
    )
    if above == below:
        return MIXED
    return ABOVE if above else BELOW
