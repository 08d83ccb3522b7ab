"""Reconciliation: each run with what it found, and each item until somebody has settled or explained it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from billing.admin.base import ReadOnlyAdmin, page_of
from billing.models import ReconciliationItem, ReconciliationRun

MOST_LISTED = 200


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    """Comparisons of our books with Stripe's."""

    list_display = ("id", "kind", "since", "started_at", "finished_at", "compared", "found")
    list_filter = ("kind", ("finished_at", admin.EmptyFieldListFilter), "started_at")
    search_fields = ("findings__subject__exact",)
    ordering = ("-id",)
    fields = ("kind", "since", "started_at", "finished_at", "compared", "findings_listed")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReconciliationRun]:
        """Count the findings with the runs."""
        runs: QuerySet[ReconciliationRun] = super().get_queryset(request)
        return runs.annotate(found=Count("findings"))

    @admin.display(description="Found", ordering="found")
    def found(self, run: ReconciliationRun) -> int:
        """Write how many items it found."""
        return int(getattr(run, "found", 0))

    @admin.display(description="Found")
    def findings_listed(self, run: ReconciliationRun) -> SafeString | str:
        """Write what it found, and how each item stands today."""
        items = run.findings.order_by("kind", "pk")[:MOST_LISTED]
        return _list(items) or "Nothing"


def _list(items: QuerySet[ReconciliationItem]) -> SafeString:
    rows = (
        (page_of(item), str(item), item.ours, item.theirs, item.get_state_display().lower()) for item in items
    )
    return format_html_join("", '<div><a href="{}">{}</a>: {} / {} ({})</div>', rows)
