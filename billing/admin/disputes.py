"""Disputes, and what staff gives up of those that are lost."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from accounts.models import Organization
from billing import disputes, wallets, write_offs
from billing.admin.base import ReadOnlyAdmin, Tool, cents, quoted, unquoted, usd
from billing.admin.drafting import Page, actor_of, answer
from billing.admin.forms import ReasonForm
from billing.drafts import Draft
from billing.models import Dispute


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """Payments that their payers' banks question."""

    list_display = (
        "stripe_id", "organization", "top_up", "amount", "withdrawn", "status", "reason", "is_written_off", "opened_at",
    )  # fmt: skip
    list_filter = ("status", "reason", ("write_off", admin.EmptyFieldListFilter), "opened_at")
    list_select_related = ("top_up__organization",)
    search_fields = ("stripe_id__exact", "top_up__id__exact", "top_up__stripe_intent__exact")
    of_organization = "top_up__organization"
    ordering = ("-opened_at", "-pk")
    fields = (
        "stripe_id", "organization", "balance", "top_up", "amount", "withdrawn", "status", "reason", "opened_at",
        "updated_at", "write_off",
    )  # fmt: skip

    @admin.display(description="Organization")
    def organization(self, dispute: Dispute) -> Organization:
        """Return whose payment it was."""
        return dispute.top_up.organization

    @admin.display(description="Balance of its wallet (USD)")
    def balance(self, dispute: Dispute) -> str:
        """Write what the organization has, or owes."""
        return usd(wallets.of(dispute.top_up.organization).balance_nano)

    @admin.display(description="Amount", ordering="amount_cents")
    def amount(self, dispute: Dispute) -> str:
        """Write what is questioned."""
        return cents(dispute.amount_cents)

    @admin.display(description="Held back", ordering="withdrawn_cents")
    def withdrawn(self, dispute: Dispute) -> str:
        """Write what Stripe has taken back."""
        return cents(dispute.withdrawn_cents)

    @admin.display(description="Written off", boolean=True)
    def is_written_off(self, dispute: Dispute) -> bool:
        """Tell whether we gave it up."""
        return dispute.write_off_id is not None

    def tools(self, request: HttpRequest, row: Dispute) -> list[Tool]:
        """Offer to write a lost dispute off."""
        is_lost = row.status == disputes.LOST and row.withdrawn_cents and row.write_off_id is None
        if not is_lost or not request.user.has_perm("billing.write_off_dispute"):
            return []
        return [Tool("Write off", reverse("admin:billing_dispute_write_off", args=[quoted(row)]))]

    def get_urls(self) -> list[URLPattern]:
        """Add the form."""
        view = self.admin_site.admin_view(self.write_off)
        return [
            path("<str:object_id>/write-off/", view, name="billing_dispute_write_off"),
            *super().get_urls(),
        ]

    def write_off(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give up what is owed for a lost dispute."""
        if not request.user.has_perm("billing.write_off_dispute"):
            raise PermissionDenied
        rows = Dispute.objects.select_related("top_up__organization")
        dispute = get_object_or_404(rows, pk=unquoted(object_id))

        def draft(form: ReasonForm) -> Draft:
            return write_offs.draft(
                dispute=dispute, reason=form.cleaned_data["reason"], actor=actor_of(request)
            )

        words = (
            "The bank took the payment back after its credit was used. What the organization owes for it becomes our"
            " loss, its wallet comes up to zero at most, and the dispute freezes it no longer."
        )
        return answer(
            request, Page(self, dispute, f"Write off {dispute.stripe_id}", words, ReasonForm), draft
        )
