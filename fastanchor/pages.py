"""Pages that compose several apps: home, prices, quickstart and the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts import keys, organizations
from accounts.access import SignedInRequest, signed_in
from accounts.models import ApiKey, Plan
from billing.usage import UnknownRequest
from catalog.listing import ListedModel, listed_models
from catalog.offers import read_product
from fastanchor import dashboard, manual

PLACEHOLDER_KEY = "YOUR_KEY"
FEATURED = tuple(offer.id for offer in read_product())


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is, show the one-line switch and the prices of the best-known models."""
    sold = {model.id: model for model in listed_models(at=datetime.now(UTC))}
    featured = [sold[name] for name in FEATURED if name in sold]
    context = {"models": featured, "model_count": len(sold), **_snippets(request, PLACEHOLDER_KEY)}
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


@require_safe
def quickstart(request: HttpRequest) -> HttpResponse:
    """Lead to the first request, with the reader's own key prefix where there is one."""
    key = _newest_key(request)
    context = {"plans": Plan.objects.in_bulk(), "newest_key": key, **_snippets(request, _shown(key))}
    return render(request, "site/quickstart.html", context)


@require_safe
def manual_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a page of the manual."""
    if name not in manual.PAGES:
        raise Http404
    page = manual.page(name, origin=request.build_absolute_uri("/").rstrip("/"))
    return render(request, "site/manual.html", {"page": page, "pages": manual.PAGES, "current": name})


@signed_in
@require_safe
def overview(request: SignedInRequest) -> HttpResponse:
    """Show balance, today and the newest requests of the organization."""
    key = _newest_key(request)
    context = {
        "organization": request.organization,
        "newest_key": key,
        "rows": dashboard.rows(organization=request.organization),
        **dashboard.balance(organization=request.organization),
        **dashboard.today(organization=request.organization, at=datetime.now(UTC)),
        **_snippets(request, _shown(key)),
    }
    return render(request, "dashboard/overview.html", context)


@signed_in
@require_safe
def request_receipt(request: SignedInRequest, request_id: str) -> HttpResponse:
    """Show what one request cost, and how that came about."""
    try:
        context = dashboard.receipt(organization=request.organization, request_id=request_id)
    except UnknownRequest:
        raise Http404 from None
    return render(request, "dashboard/request.html", context)


def _matches(model: ListedModel, query: str) -> bool:
    text = f"{model.id} {model.name} {model.provider} {model.kind}".lower()
    return all(word in text for word in query.lower().split())


def _newest_key(request: HttpRequest) -> ApiKey | None:
    if not request.user.is_authenticated:
        return None
    return keys.live_keys(organizations.of_user(request.user)).order_by("-created_at", "pk").first()


def _shown(key: ApiKey | None) -> str:
    return f"{key.prefix}…" if key else PLACEHOLDER_KEY


def _snippets(request: HttpRequest, key: str) -> dict[str, str]:
    origin = request.build_absolute_uri("/").rstrip("/")
    return {"base_url": f"{origin}/v1", "origin": origin, "key": key}
