"""Usage by model over all organizations, from the sums of days: for staff who change prices or end models.

Every query is bounded by days and reads sums only, whose number does not grow with that of requests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet, Sum

from billing.analytics import ONE_DAY, day_of
from billing.models import UsageSum

DAYS = 30
_DAY_HOURS = 24
_SUMMED = (
    "requests", "failed", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "cost_nano",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model, or one organization with it, came to; money in nano-USD."""

    organizations: int = 0
    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0


@dataclass(frozen=True, slots=True)
class OrganizationUsage:
    """What one organization used of a model."""

    organization_id: str
    name: str
    requests: int
    cost_nano: int


def by_model(*, now: datetime, model_ids: Sequence[str] | None = None) -> dict[str, ModelUsage]:
    """Return what models came to in the last 30 days and today; those without usage are left out."""
    rows = _of_days(now)
    if model_ids is not None:
        rows = rows.filter(model_id__in=model_ids)
    people = Count("organization", distinct=True)
    summed = (
        rows.values("model_id").annotate(people=people, **_sums()).values_list("model_id", "people", *_SUMMED)
    )
    return {name: ModelUsage(people, *map(int, rest)) for name, people, *rest in summed}


def of_pairs(*, now: datetime, pairs: Iterable[tuple[str, str]]) -> dict[str, ModelUsage]:
    """Return by model what certain organizations used of certain providers, given as pairs, in the same days."""
    wanted = set(pairs)
    rows = _of_days(now).filter(organization__in={organization for organization, _ in wanted})
    summed = rows.values("organization", "provider_id", "model_id").annotate(**_sums())
    found: dict[str, ModelUsage] = {}
    for organization, provider, name, *rest in summed.values_list(
        "organization", "provider_id", "model_id", *_SUMMED
    ):
        if (organization, provider) in wanted:
            used = ModelUsage(1, *map(int, rest))
            found[name] = _together(found.get(name, ModelUsage()), used, 1)
    return found


def less(whole: ModelUsage, part: ModelUsage) -> ModelUsage:
    """Return what is left of a usage without a part of it."""
    return _together(whole, part, -1)


def _together(one: ModelUsage, other: ModelUsage, sign: int) -> ModelUsage:
    pairs = zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)
    return ModelUsage(*(mine + sign * theirs for mine, theirs in pairs))


def _sums() -> dict[str, Any]:
    return {name: Sum(name) for name in _SUMMED}


def by_organization(*, now: datetime, model_id: str, limit: int | None = None) -> list[OrganizationUsage]:
    """Return who used a model in the last 30 days and today, whoever spent most first."""
    rows = (
        _of_days(now)
        .filter(model_id=model_id)
        .values("organization", "organization__name")
        .annotate(count=Sum("requests"), cost=Sum("cost_nano"))
        .order_by("-cost", "organization")
    )
    return [
        OrganizationUsage(row["organization"], row["organization__name"], row["count"], row["cost"])
        for row in rows[:limit]
    ]


def _of_days(now: datetime) -> QuerySet[UsageSum]:
    return UsageSum.objects.filter(hours=_DAY_HOURS, start__gte=day_of(now) - DAYS * ONE_DAY)
