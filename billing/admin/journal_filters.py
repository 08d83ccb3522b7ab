"""Narrowing the list of journals: by day, by account, and by a figure of the business."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from billing import business
from billing.models import WALLET_CODES, Account, AccountCode, Journal, Posting

DAY = "day"


class DayFilter(admin.SimpleListFilter):
    """Journals that are effective on one day (UTC)."""

    title = "day (UTC)"
    parameter_name = DAY
    template = "admin/billing/day_filter.html"
    others: dict[str, str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the last two; any other can be typed."""
        today = timezone.now().astimezone(UTC).date()
        return [(today.isoformat(), "Today"), ((today - timedelta(days=1)).isoformat(), "Yesterday")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Offer the days, and keep the other filters for the form."""
        self.others = {
            name: value for name, value in changelist.params.items() if name not in {DAY, "p", "e"}
        }
        return super().choices(changelist)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Journal]) -> QuerySet[Journal]:
        """Keep the day's; a text that is no day has none."""
        chosen = self.value()
        if not chosen:
            return queryset
        try:
            start = datetime.combine(date.fromisoformat(chosen), time(), UTC)
        except ValueError:
            return queryset.none()
        return queryset.filter(effective_at__gte=start, effective_at__lt=start + timedelta(days=1))


class AccountFilter(admin.SimpleListFilter):
    """Journals that moved money on an account."""

    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer every account."""
        return [(code.value, code.label) for code in AccountCode]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Journal]) -> QuerySet[Journal]:
        """Keep those with a posting there."""
        chosen = self.value()
        return queryset.filter(_touches([AccountCode(chosen)])) if chosen in AccountCode.values else queryset


class FigureFilter(admin.SimpleListFilter):
    """Journals that a figure of the business is made of."""

    title = "figure"
    parameter_name = "figure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer every figure."""
        return [(each.slug, each.label) for each in business.FIGURES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Journal]) -> QuerySet[Journal]:
        """Keep those of its kinds with a posting on its accounts."""
        figure = next((each for each in business.FIGURES if each.slug == self.value()), None)
        if figure is None:
            return queryset
        kept = queryset.filter(kind__in=sorted(figure.kinds)) if figure.kinds else queryset
        return kept.filter(_touches(figure.codes))


def _touches(codes: Collection[AccountCode]) -> Exists:
    """Tell for each journal whether it has a posting on one of some accounts, all ours or all wallets'."""
    postings = Posting.objects.filter(journal=OuterRef("pk"))
    if WALLET_CODES.isdisjoint(codes):
        # By their ids, of which PostgreSQL knows how often each occurs.
        ours = Account.objects.filter(organization=None, code__in=sorted(codes))
        return Exists(postings.filter(account__in=list(ours.values_list("pk", flat=True))))
    return Exists(postings.filter(account__code__in=sorted(codes)))
