"""The public site: home and prices."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Plan
from catalog.listing import ListedModel, listed_models
from catalog.offers import read_product
from fastanchor.pages import snippets

FEATURED = tuple(offer.id for offer in read_product())


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is, show the one-line switch and the prices of the best-known models."""
    sold = {model.id: model for model in listed_models(at=datetime.now(UTC))}
    featured = [sold[name] for name in FEATURED if name in sold]
    context = {"models": featured, "model_count": len(sold), **snippets.context(request)}
    return render(request, "site/home.html", context)


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """Show the plans and every model's price; ``?q=`` narrows the list."""
    query = request.GET.get("q", "").strip()[:80]
    models = listed_models(at=datetime.now(UTC))
    found = [model for model in models if _matches(model, query)]
    providers = [(name, list(group)) for name, group in groupby(found, key=lambda model: model.provider)]
    context = {
        "plans": Plan.objects.in_bulk(),
        "providers": providers,
        "found_count": len(found),
        "model_count": len(models),
        "query": query,
    }
    return render(request, "site/pricing.html", context)


def _matches(model: ListedModel, query: str) -> bool:
    text = f"{model.id} {model.name} {model.provider} {model.kind}".lower()
    return all(word in text for word in query.lower().split())
