"""Capture rates as pages show them: with the provider's name, and the open item where one waits for somebody."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from billing import capture
from billing.capture import Rate
from billing.models import ItemState, ReconciliationItem
from catalog.models import Provider


@dataclass(frozen=True, slots=True)
class RateLine:
    """One provider and day."""

    rate: Rate
    provider: str
    item_url: str


def of(rates: list[Rate]) -> list[RateLine]:
    """Return the lines of some rates; two queries."""
    names = provider_names()
    items = ReconciliationItem.objects.filter(
        kind=capture.KIND, state=ItemState.OPEN, subject__in=[rate.subject for rate in rates]
    )
    open_items = dict(items.values_list("subject", "pk"))
    return [
        RateLine(rate, names.get(rate.provider_id, rate.provider_id), _page_of(open_items.get(rate.subject)))
        for rate in rates
    ]


def provider_names() -> dict[str, str]:
    """Return how each provider is called, by its slug."""
    return dict(Provider.objects.values_list("slug", "name"))


def _page_of(item_id: int | None) -> str:
    return reverse("admin:billing_reconciliationitem_change", args=[item_id]) if item_id else ""
