"""Wallets with their lots, and the credit that staff gives or takes."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from billing import adjustments
from billing.admin.base import ReadOnlyAdmin, Tool, quoted, rows_of, unquoted, usd
from billing.admin.drafting import Page, actor_of, answer
from billing.admin.forms import AdjustmentForm, GiveForm
from billing.admin.proposals import propose
from billing.drafts import Draft
from billing.models import (
    AutoTopUp,
    CreditLot,
    CreditProposal,
    Dispute,
    Journal,
    PaymentMethod,
    Refund,
    Spend,
    TopUp,
    UsageRecord,
    Wallet,
)

_LISTS: tuple[tuple[str, type[Model]], ...] = (
    ("Lots", CreditLot),
    ("Journals", Journal),
    ("Top-ups", TopUp),
    ("Refunds", Refund),
    ("Disputes", Dispute),
    ("Automatic top-up", AutoTopUp),
    ("Cards", PaymentMethod),
    ("Spending", Spend),
    ("Requests", UsageRecord),
    ("Proposals", CreditProposal),
)


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
    of_organization = "organization"
    ordering = ("-organization_id",)
    sortable_by = ("balance", "unposted")
    fields = ("organization", "balance", "unposted", "floor", "state", "version", "updated_at")

    @admin.display(description="Balance (USD)", ordering="balance_nano")
    def balance(self, wallet: Wallet) -> str:
        """Write the balance with all its places."""
        return usd(wallet.balance_nano)

    @admin.display(description="Unposted (USD)", ordering="unposted_nano")
    def unposted(self, wallet: Wallet) -> str:
        """Write the usage that is not yet in the ledger."""
        return usd(wallet.unposted_nano)

    @admin.display(description="Floor (USD)")
    def floor(self, wallet: Wallet) -> str:
        """Write the lowest balance."""
        return usd(wallet.floor_nano)

    def tools(self, request: HttpRequest, row: Wallet) -> list[Tool]:
        """Lead to what is in the wallet, and to what may be done with it."""
        lists = [Tool(label, rows_of(model, row.pk)) for label, model in _LISTS]
        if not request.user.has_perm("billing.adjust_wallet"):
            return lists
        names = (("Give credit", "give"), ("Take credit back", "take"))
        return [
            *lists,
            *(
                Tool(label, reverse(f"admin:billing_wallet_{name}", args=[quoted(row)]))
                for label, name in names
            ),
        ]

    def get_urls(self) -> list[URLPattern]:
        """Add the two forms."""
        view = self.admin_site.admin_view
        return [
            path("<str:object_id>/give/", view(self.give), name="billing_wallet_give"),
            path("<str:object_id>/take/", view(self.take), name="billing_wallet_take"),
            *super().get_urls(),
        ]

    def give(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give credit."""
        wallet = self._wallet(request, object_id)
        if "_propose" in request.POST and (form := GiveForm(request.POST)).is_valid():
            return propose(request, wallet.organization, form)

        def draft(form: GiveForm) -> Draft:
            return adjustments.give(
                organization=wallet.organization,
                amount_nano=form.cleaned_data["amount"],
                expires_at=form.expires_at,
                reason=form.cleaned_data["reason"],
                key=form.cleaned_data["key"],
                actor=actor_of(request),
            )

        words = (
            "Adds credit that nobody has paid for. What the organization owes is paid by it first. One person gives"
            f" at most {usd(adjustments.ALONE_NANO)} within 24 hours; more is proposed to a second person."
        )
        return answer(
            request, Page(self, wallet, f"Give credit to {wallet.organization}", words, GiveForm), draft
        )

    def take(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take credit back."""
        wallet = self._wallet(request, object_id)

        def draft(form: AdjustmentForm) -> Draft:
            return adjustments.take(
                organization=wallet.organization,
                amount_nano=form.cleaned_data["amount"],
                reason=form.cleaned_data["reason"],
                key=form.cleaned_data["key"],
                actor=actor_of(request),
            )

        words = "Takes credit out of the wallet, promotional first, never below zero."
        title = f"Take credit back from {wallet.organization}"
        return answer(request, Page(self, wallet, title, words, AdjustmentForm), draft)

    def _wallet(self, request: HttpRequest, object_id: str) -> Wallet:
        if not request.user.has_perm("billing.adjust_wallet"):
            raise PermissionDenied
        return get_object_or_404(Wallet.objects.select_related("organization"), pk=unquoted(object_id))


@admin.register(CreditLot)
class CreditLotAdmin(ReadOnlyAdmin):
    """Batches of credit."""

    list_display = ("id", "organization", "kind", "granted", "remaining", "expires_at")
    list_filter = ("kind",)
    list_select_related = ("organization",)
    of_organization = "organization"
    ordering = ("-id",)
    sortable_by = ("expires_at",)
    fields = ("id", "organization", "kind", "granted", "remaining", "expires_at", "priority", "journal")

    @admin.display(description="Granted (USD)")
    def granted(self, lot: CreditLot) -> str:
        """Write what the lot began with."""
        return usd(lot.granted_nano)

    @admin.display(description="Remaining (USD)")
    def remaining(self, lot: CreditLot) -> str:
        """Write what is left of it."""
        return usd(lot.remaining_nano)
