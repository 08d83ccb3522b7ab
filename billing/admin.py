"""Staff's view of money: everything can be read, nothing can be changed here."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from billing import usage
from billing.models import BudgetAlert, CreditLot, DeadLetter, Journal, Posting, Spend, UsageRecord, Wallet
from fastanchor.lib.money import exact_usd

# Counting more rows than anyone pages through would read the whole table.
MOST_COUNTED = 10_000


if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Posting, Journal]
    _Paginator = Paginator[Any]
else:
    # Generic in the stubs only.
    _ModelAdmin, _TabularInline, _Paginator = admin.ModelAdmin, admin.TabularInline, Paginator


class BoundedPaginator(_Paginator):
    """Counts no further than ``MOST_COUNTED`` rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows that can be paged through."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:MOST_COUNTED].count()


class ReadOnly:
    """Refuses every change, whatever the permissions."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class ReadOnlyAdmin(ReadOnly, _ModelAdmin):
    """Lists that read a page's worth of rows."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    """Balances."""

    list_display = (
        "organization_id",
        "organization",
        "balance",
        "unposted",
        "state",
        "version",
        "updated_at",
    )
    list_filter = ("state",)
    list_select_related = ("organization",)
    search_fields = ("organization__id", "organization__name", "organization__members__email")
    ordering = ("-organization_id",)

    @admin.display(description="Balance (USD)", ordering="balance_nano")
    def balance(self, wallet: Wallet) -> str:
        """Write the balance with all its places."""
        return exact_usd(wallet.balance_nano)

    @admin.display(description="Unposted (USD)", ordering="unposted_nano")
    def unposted(self, wallet: Wallet) -> str:
        """Write the usage that is not yet in the ledger."""
        return exact_usd(wallet.unposted_nano)


@admin.register(CreditLot)
class CreditLotAdmin(ReadOnlyAdmin):
    """Batches of credit."""

    list_display = ("id", "organization", "kind", "granted", "remaining", "expires_at")
    list_filter = ("kind",)
    list_select_related = ("organization",)
    search_fields = ("organization__id", "organization__name")
    ordering = ("-id",)

    @admin.display(description="Granted (USD)")
    def granted(self, lot: CreditLot) -> str:
        """Write what the lot began with."""
        return exact_usd(lot.granted_nano)

    @admin.display(description="Remaining (USD)")
    def remaining(self, lot: CreditLot) -> str:
        """Write what is left of it."""
        return exact_usd(lot.remaining_nano)


class PostingInline(ReadOnly, _TabularInline):
    """The legs of a journal."""

    model = Posting
    fields = ("account", "amount")
    readonly_fields = ("account", "amount")
    extra = 0

    @admin.display(description="Amount (USD, debit positive)")
    def amount(self, posting: Posting) -> str:
        """Write the amount with all its places."""
        return exact_usd(posting.amount_nano)


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    """Movements of money."""

    list_display = ("id", "kind", "organization", "effective_at", "reason", "actor")
    list_filter = ("kind",)
    list_select_related = ("organization",)
    search_fields = ("id__exact", "idempotency_key__exact", "organization__id__exact")
    ordering = ("-id",)
    inlines = (PostingInline,)


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """Requests and what they cost; ids begin with the time, so their order is that of the requests."""

    list_display = (
        "request_id",
        "organization",
        "model_id",
        "cost",
        "tokens",
        "units",
        "outcome",
        "started_at",
    )
    list_filter = ("outcome", "is_estimated", "is_stream")
    list_select_related = ("organization",)
    search_fields = ("request_id__exact", "organization__id__exact")
    ordering = ("-request_id",)

    @admin.display(description="Tokens in / out")
    def tokens(self, record: UsageRecord) -> str:
        """Write both numbers."""
        return f"{record.input_tokens:,} / {record.output_tokens:,}"

    @admin.display(description="Beside tokens")
    def units(self, record: UsageRecord) -> str:
        """Write what was billed by another unit."""
        return usage.units_text(record)

    @admin.display(description="Cost (USD)")
    def cost(self, record: UsageRecord) -> str:
        """Write the cost with all its places."""
        return exact_usd(record.cost_nano)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Records that could not be stored; ``manage.py dead_letter`` settles or dismisses them."""

    list_display = ("id", "request_id", "organization_id", "error", "created_at", "resolved_at", "resolution")
    ordering = ("-id",)


@admin.register(Spend)
class SpendAdmin(ReadOnlyAdmin):
    """What keys, members and organizations have spent by day and month; newest first in each."""

    list_display = ("subject", "organization", "period", "cost")
    list_select_related = ("organization",)
    search_fields = ("subject__exact", "organization__id__exact")
    ordering = ("-id",)

    @admin.display(description="Spent (USD)")
    def cost(self, spend: Spend) -> str:
        """Write the sum with all its places."""
        return exact_usd(spend.cost_nano)


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin):
    """Mails about budgets."""

    list_display = ("subject", "organization", "window", "period", "percent", "budget", "told_at")
    list_select_related = ("organization",)
    search_fields = ("subject__exact", "organization__id__exact")
    ordering = ("-id",)

    @admin.display(description="Budget (USD)")
    def budget(self, alert: BudgetAlert) -> str:
        """Write the budget that the mail told of."""
        return exact_usd(alert.budget_nano)
