"""The public site: home and prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Plan
from catalog.listing import ListedModel, listed, on_sale
from catalog.models import Kind
from catalog.offers import read_product
from catalog.pricing import Usage, cost_picos
from catalog.search import Search, find, providers
from catalog.snapshot import Price, Tier
from fastanchor.lib.money import Nanos, round_picos
from fastanchor.pages import snippets

FEATURED = tuple(offer.id for offer in read_product())
PAGE_SIZE = 60
# What the price of the landing page's example is reckoned for.
_EXAMPLE = Usage(
    input_tokens=500, cached_tokens=0, cache_write_tokens=0, output_tokens=200, reasoning_tokens=0
)
_TIMES = 1_000


@dataclass(frozen=True, slots=True)
class Switch:
    """A model to switch to, and what a thousand short requests cost with it."""

    model: ListedModel
    cost_nano: Nanos
    is_chosen: bool


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the one-line switch with ``?model=``, what it costs, the plans, and the best-known models."""
    asked = request.GET.get("model", "")[:120]
    at, models = datetime.now(UTC), on_sale()
    found = {model.id: model for model in listed(models.filter(pk__in=[*FEATURED, asked]), at=at)}
    featured = [found[name] for name in FEATURED if name in found]
    switches = _switches(featured, found.get(asked))
    model_count = models.count()
    context = {
        "switches": switches,
        "model": next((each.model.id for each in switches if each.is_chosen), FEATURED[0]),
        "example": _EXAMPLE,
        "times": _TIMES,
        "models": featured,
        "model_count": model_count,
        "model_words": str(model_count),
        "provider_count": models.order_by().values("provider").distinct().count(),
        "plans": Plan.objects.in_bulk(),
        **snippets.context(request),
    }
    return render(request, "site/home.html", context)


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """Show the plans and every model's price; ``?q=`` and ``?provider=`` narrow the list."""
    query = request.GET.get("q", "").strip()[:80]
    at = datetime.now(UTC)
    offered = providers()
    wanted = request.GET.get("provider", "")
    provider = wanted if wanted in {slug for slug, _, _ in offered} else ""
    found = find(Search(words=query, provider=provider), at=at).order_by("provider__name", "pk")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    shown = listed(page.object_list, at=at)
    context = {
        "plans": Plan.objects.in_bulk(),
        "providers": [
            (name, list(group)) for name, group in groupby(shown, key=lambda model: model.provider)
        ],
        "page": page,
        "found_count": page.paginator.count,
        "model_count": sum(count for _, _, count in offered),
        "offered": offered,
        "provider": provider,
        "query": query,
        **snippets.context(request),
    }
    return render(request, "site/pricing.html", context)


def _switches(featured: Sequence[ListedModel], asked: ListedModel | None) -> list[Switch]:
    """Return the models to choose from: the featured ones, and the one that was asked for where it can chat."""
    offered = list(featured)
    if asked and asked.kind == Kind.CHAT and asked not in offered:
        offered.append(asked)
    chosen = asked if asked in offered else next(iter(offered), None)
    return [Switch(model, _cost_of_many(model), model == chosen) for model in offered]


def _cost_of_many(model: ListedModel) -> Nanos:
    price = Price("", 0, (Tier(0, model.rates),))
    return round_picos(cost_picos(price, _EXAMPLE) * _TIMES)
