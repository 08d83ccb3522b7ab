"""The ledger: journals with their postings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, Sum, When, Window
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.admin.base import ReadOnly, ReadOnlyAdmin, Tool, page_of, usd, who
from billing.admin.journal_filters import DAY, AccountFilter, DayFilter, FigureFilter
from billing.models import (
    CreditLot,
    Dispute,
    Journal,
    Posting,
    ReconciliationItem,
    Refund,
    TopUp,
    Wallet,
)

if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[Posting, Journal]
else:
    # Generic in the stubs only.
    _TabularInline = admin.TabularInline


class PostingInline(ReadOnly, _TabularInline):
    """The legs of a journal."""

    model = Posting
    template = "admin/billing/postings.html"
    fields = ("account", "amount", "running", "after")
    readonly_fields = fields
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Posting]:
        """Fetch the accounts with them, the sum so far, and what stood on a wallet's account after each."""
        earlier = Posting.objects.filter(account=OuterRef("account"), pk__lte=OuterRef("pk")).order_by()
        sums = earlier.values("account").annotate(nano=Sum("amount_nano")).values("nano")
        postings = super().get_queryset(request).select_related("account__organization").order_by("pk")
        return postings.annotate(
            sum_nano=Window(Sum("amount_nano"), partition_by=F("journal"), order_by=F("pk").asc()),
            # Ours have moved a million times: the figures of the business tell how they stand, by day.
            after_nano=Case(When(account__organization__isnull=False, then=Subquery(sums))),
        )

    @admin.display(description="Running total (0 at the end)")
    def running(self, posting: Posting) -> str:
        """Write the sum of the legs so far."""
        return usd(_annotated(posting, "sum_nano") or 0)

    @admin.display(description="Wallet's account after it")
    def after(self, posting: Posting) -> str:
        """Write what stood on the account then; of ours nothing."""
        nano = _annotated(posting, "after_nano")
        return "-" if nano is None else usd(nano)

    @admin.display(description="Amount (USD, debit positive)")
    def amount(self, posting: Posting) -> str:
        """Write the amount with all its places."""
        return usd(posting.amount_nano)


def _annotated(posting: Posting, name: str) -> int | None:
    found: int | None = getattr(posting, name, None)
    return None if found is None else int(found)


# What a journal's source may be that has a page.
_SOURCES: dict[str, type[Any]] = {
    "top_up": TopUp,
    "refund": Refund,
    "dispute": Dispute,
    "lot": CreditLot,
    "reconciliation_item": ReconciliationItem,
}


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    """Movements of money."""

    list_display = ("id", "kind", "organization", "effective_at", "reason", "actor")
    list_filter = (DayFilter, "kind", AccountFilter, FigureFilter)
    list_select_related = ("organization",)
    search_fields = ("id__exact", "idempotency_key__exact")
    search_help_text = "A whole id of a journal, a key, or an organization by id, name or a member's address."
    of_organization = "organization"
    ordering = ("-id",)
    sortable_by = ()
    inlines = (PostingInline,)

    class Media:
        css = {"all": ("css/staff_money.css",)}

    fields = (
        "id", "kind", "organization", "effective_at", "created_at", "reason", "by", "idempotency_key", "about",
        "reverses", "settles",
    )  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Order a day by its moments, for which there is an index, and everything else by id."""
        return ("-effective_at", "-id") if request.GET.get(DAY) else ("-id",)

    def tools(self, request: HttpRequest, row: Journal) -> list[Tool]:
        """Lead to the wallet that it is about."""
        wallet = Wallet.objects.filter(pk=row.organization_id).first()
        return [Tool("Wallet", page_of(wallet))] if wallet else []

    @admin.display(description="Actor")
    def by(self, journal: Journal) -> str:
        """Write who did it."""
        return who(journal.actor)

    @admin.display(description="About")
    def about(self, journal: Journal) -> SafeString | str:
        """Write what it is about, with its page where it has one."""
        told = f"{journal.source_type} {journal.source_id}".strip() or "-"
        model = _SOURCES.get(journal.source_type)
        row = model.objects.filter(pk=journal.source_id).first() if model else None
        return format_html('<a href="{}">{}</a>', page_of(row), told) if row else told

    @admin.display(description="Settles")
    def settles(self, journal: Journal) -> SafeString | str:
        """Write which items of reconciliation it has settled."""
        items = journal.settled_items.order_by("pk")
        links = ((page_of(item), str(item)) for item in items)
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "-"
