"""The ledger: journals with their postings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from billing.admin.base import ReadOnly, ReadOnlyAdmin, page_of, usd, who
from billing.models import Journal, Posting

if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[Posting, Journal]
else:
    # Generic in the stubs only.
    _TabularInline = admin.TabularInline


class PostingInline(ReadOnly, _TabularInline):
    """The legs of a journal."""

    model = Posting
    fields = ("account", "amount")
    readonly_fields = ("account", "amount")
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Posting]:
        """Fetch the accounts with them."""
        return super().get_queryset(request).select_related("account").order_by("pk")

    @admin.display(description="Amount (USD, debit positive)")
    def amount(self, posting: Posting) -> str:
        """Write the amount with all its places."""
        return usd(posting.amount_nano)


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    """Movements of money."""

    list_display = ("id", "kind", "organization", "effective_at", "reason", "actor")
    list_filter = ("kind",)
    list_select_related = ("organization",)
    search_fields = ("id__exact", "idempotency_key__exact")
    of_organization = "organization"
    ordering = ("-id",)
    sortable_by = ()
    inlines = (PostingInline,)
    fields = (
        "id", "kind", "organization", "effective_at", "created_at", "reason", "by", "idempotency_key", "source_type",
        "source_id", "reverses", "settles",
    )  # fmt: skip

    @admin.display(description="Actor")
    def by(self, journal: Journal) -> str:
        """Write who did it."""
        return who(journal.actor)

    @admin.display(description="Settles")
    def settles(self, journal: Journal) -> SafeString | str:
        """Write which items of reconciliation it has settled."""
        items = journal.settled_items.order_by("pk")
        links = ((page_of(item), str(item)) for item in items)
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "-"
