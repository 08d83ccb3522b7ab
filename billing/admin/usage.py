"""What was used and spent, and what could not be settled."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import ApiKey, Membership
from accounts.staff_lists import MOST_NAMED, users_called
from billing import choices_told, usage
from billing.admin.base import ReadOnlyAdmin
from billing.models import BudgetAlert, DeadLetter, Spend, UsageRecord
from fastanchor.lib.money import exact_usd

_BREAK = SafeString("<br>")


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
    list_filter = ("outcome", "is_estimated")
    list_select_related = ("organization",)
    search_fields = ("request_id__exact",)
    search_help_text = "A request (req_…) or an organization (org_…, its name, a member's e-mail address)."
    of_organization = "organization"
    ordering = ("-request_id",)
    sortable_by = ()
    readonly_fields = ("choice",)
    exclude = ("considered",)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Read one organization's in the order of their index."""
        is_of_one = request.GET.get("q", "").startswith("org_")
        return ("-started_at", "request_id") if is_of_one else ("-request_id",)

    @admin.display(description="Channels to choose from")
    def choice(self, record: UsageRecord) -> SafeString:
        """Write how each channel stood when one failed or was passed over."""
        lines = choices_told.in_full(record)
        return format_html_join(_BREAK, "{}", ([line] for line in lines)) or SafeString("the first served")

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


class OfSubjects(ReadOnlyAdmin):
    """Lists of what stands for keys, members and organizations; their indexes begin with the organization."""

    of_organization = "organization"
    search_help_text = (
        "A key (key_…), a member (user_…) or an organization (org_…, its name, a member's address)."
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for a subject where it belongs."""
        term = search_term.strip()
        if term.startswith("key_"):
            owners = list(ApiKey.objects.filter(pk=term).values_list("organization_id", flat=True))
        elif term.startswith("user_"):
            members = Membership.objects.filter(user__in=users_called(term))
            owners = list(members.values_list("organization_id", flat=True)[:MOST_NAMED])
        else:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(organization__in=owners, subject=term), False


@admin.register(Spend)
class SpendAdmin(OfSubjects):
    """What keys, members and organizations have spent by day and month; newest first in each."""

    list_display = ("subject", "organization", "period", "cost")
    list_select_related = ("organization",)
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="Spent (USD)")
    def cost(self, spend: Spend) -> str:
        """Write the sum with all its places."""
        return exact_usd(spend.cost_nano)


@admin.register(BudgetAlert)
class BudgetAlertAdmin(OfSubjects):
    """Mails about budgets."""

    list_display = ("subject", "organization", "window", "period", "percent", "budget", "told_at")
    list_select_related = ("organization",)
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="Budget (USD)")
    def budget(self, alert: BudgetAlert) -> str:
        """Write the budget that the mail told of."""
        return exact_usd(alert.budget_nano)
