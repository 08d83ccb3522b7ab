"""What a price would change, and for whom: the last 30 days of a model at its price and at another.

Sums know tokens of text only, and not how long each prompt was: both sides are calculated at the usual rates, those
without a tier or a window, so that they can be compared with each other and not with a bill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from billing import model_usage
from billing.model_usage import ModelUsage
from catalog import price_diff, snapshot
from catalog.price_diff import Line, percent
from catalog.pricing import Usage, cost_picos
from catalog.snapshot import Tier
from fastanchor.lib.money import round_picos

_USUAL = {"input", "cached_input", "cache_write", "output"}


@dataclass(frozen=True, slots=True)
class Change:
    """A model's tiers now, none for a first price, and those that would follow."""

    model_id: str
    before: Sequence[Tier]
    after: Sequence[Tier]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would have come to in the last 30 days; money in nano-USD."""

    change: Change
    usage: ModelUsage
    before_nano: int
    after_nano: int

    @property
    def lines(self) -> list[Line]:
        """Return the rates that differ."""
        return price_diff.lines(self.change.before, self.change.after)

    @property
    def difference_nano(self) -> int:
        """Return what all together would have paid more, or less."""
        return self.after_nano - self.before_nano

    @property
    def difference_percent(self) -> str:
        """Return the same in percent."""
        return percent(self.difference_nano, self.before_nano)

    @property
    def has_more_rates(self) -> bool:
        """Tell whether tiers, windows or units were left out of the calculation."""
        return any(has_more_than_usual(tiers) for tiers in (self.change.before, self.change.after))


def effects(changes: Sequence[Change], *, now: datetime) -> list[Effect]:
    """Return the effect of each change; one query."""
    used = model_usage.by_model(now=now, model_ids=[change.model_id for change in changes])
    return [_effect(change, used.get(change.model_id, ModelUsage())) for change in changes]


def _effect(change: Change, usage: ModelUsage) -> Effect:
    before = usual_cost_nano(change.before, usage) if change.before else 0
    return Effect(change, usage, before, usual_cost_nano(change.after, usage))


def usual_cost_nano(tiers: Sequence[Tier], usage: ModelUsage) -> int:
    """Return what tokens cost at the usual rates of a price, in nano-USD."""
    usual = next(tier for tier in tiers if not tier.during and not tier.above_tokens)
    tokens = Usage(
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
    return round_picos(cost_picos(snapshot.Price("", 0, (usual,)), tokens))


def has_more_than_usual(tiers: Sequence[Tier]) -> bool:
    """Tell whether a price has rates that sums of tokens say nothing of."""
    return len(tiers) > 1 or any(
        rate is not None for tier in tiers for name, rate in asdict(tier.rates).items() if name not in _USUAL
    )
