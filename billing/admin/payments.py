"""What goes through Stripe: top-ups, cards, refunds, automatic top-ups, events."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.audit_admin import Audited
from accounts.models import Organization
from billing import checkout
from billing.admin.base import ReadOnlyAdmin, cents, who
from billing.models import AutoTopUp, PaymentMethod, Refund, StripeEvent, TopUp
from billing.stripe_api.client import StripeFault
from billing.sync import NotOurs

# Each is some calls of Stripe, one after the other, while somebody waits.
MOST_SYNCED = 20


@admin.register(TopUp)
class TopUpAdmin(Audited, ReadOnlyAdmin):
    """Credit that was bought, or is about to be."""

    list_display = ("id", "organization", "amount", "source", "status", "stripe_intent", "created_at")
    list_filter = ("status", "source", "created_at")
    list_select_related = ("organization",)
    search_fields = ("id__exact", "stripe_intent__exact", "stripe_session__exact")
    of_organization = "organization"
    # Ids begin with the time, so their order is that of the top-ups.
    ordering = ("-pk",)
    sortable_by = ("amount", "created_at")
    actions = ("sync_now",)
    fields = (
        "id", "organization", "amount", "currency", "source", "status", "by", "stripe_session", "stripe_intent", "card",
        "failure", "failure_code", "receipt_url", "journal", "created_at", "updated_at",
    )  # fmt: skip

    @admin.display(description="Amount", ordering="amount_cents")
    def amount(self, top_up: TopUp) -> str:
        """Write the amount."""
        return cents(top_up.amount_cents)

    @admin.display(description="Set off by")
    def by(self, top_up: TopUp) -> str:
        """Write who set it off."""
        return who(top_up.actor)

    @admin.action(description="Sync with Stripe now", permissions=["sync"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[TopUp]) -> None:
        """Bring the selected top-ups to what Stripe says of them."""
        chosen = list(queryset.select_related("organization")[: MOST_SYNCED + 1])
        if len(chosen) > MOST_SYNCED:
            self.message_user(request, f"Select at most {MOST_SYNCED} top-ups.", messages.ERROR)
            return
        for top_up in chosen:
            self._sync(request, top_up)

    def _sync(self, request: HttpRequest, top_up: TopUp) -> None:
        before, was = top_up.get_status_display(), top_up.status
        try:
            followed = checkout.follow(top_up)
        except (StripeFault, NotOurs) as exc:
            self.message_user(request, f"Top-up {top_up.pk}: {type(exc).__name__}: {exc}", messages.ERROR)
            return
        audit.record(
            "topup.synced",
            subject=f"topup {top_up.pk}",
            organization_id=top_up.organization_id,
            before={"status": was},
            after={"status": followed.status},
        )
        after = followed.get_status_display()
        told = f"was {before}, is {after}" if after != before else f"is {after}, as before"
        self.message_user(request, f"Top-up {top_up.pk} {told}.")

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Ask for the permission to sync."""
        return request.user.has_perm("billing.sync_topup")


@admin.register(PaymentMethod)
class PaymentMethodAdmin(ReadOnlyAdmin):
    """Saved cards; of each we know no more than its owner sees."""

    list_display = ("stripe_id", "organization", "card", "expires", "is_default", "created_at", "removed_at")
    list_filter = ("is_default", ("removed_at", admin.EmptyFieldListFilter), "brand")
    list_select_related = ("organization",)
    search_fields = (
        "stripe_id__exact",
        "customer__stripe_id__exact",
        "last4__exact",
    )
    of_organization = "organization"
    ordering = ("-pk",)

    @admin.display(description="Card")
    def card(self, method: PaymentMethod) -> str:
        """Write its brand and end."""
        return str(method)

    @admin.display(description="Expires")
    def expires(self, method: PaymentMethod) -> str:
        """Write the month of its end."""
        return f"{method.expires_month:02d}/{method.expires_year}"


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    """Money on its way back to cards."""

    list_display = ("id", "organization", "top_up", "amount", "status", "actor", "created_at", "updated_at")
    list_filter = ("status", "created_at")
    list_select_related = ("top_up__organization",)
    search_fields = (
        "id__exact",
        "stripe_id__exact",
        "top_up__id__exact",
        "top_up__stripe_intent__exact",
    )
    of_organization = "top_up__organization"
    ordering = ("-pk",)
    fields = (
        "id",
        "organization",
        "top_up",
        "amount",
        "status",
        "stripe_id",
        "by",
        "created_at",
        "updated_at",
    )

    @admin.display(description="Organization")
    def organization(self, refund: Refund) -> Organization:
        """Return whose money it is."""
        return refund.top_up.organization

    @admin.display(description="Amount", ordering="amount_cents")
    def amount(self, refund: Refund) -> str:
        """Write the amount."""
        return cents(refund.amount_cents)

    @admin.display(description="Asked for by")
    def by(self, refund: Refund) -> str:
        """Write who asked for it."""
        return who(refund.actor)


@admin.register(AutoTopUp)
class AutoTopUpAdmin(ReadOnlyAdmin):
    """How balances fill themselves."""

    list_display = (
        "organization",
        "is_on",
        "threshold",
        "target",
        "month_cap",
        "failures",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("is_on", "failures")
    list_select_related = ("organization",)
    of_organization = "organization"
    ordering = ("-organization_id",)

    @admin.display(description="Below", ordering="threshold_cents")
    def threshold(self, setting: AutoTopUp) -> str:
        """Write below which balance it buys."""
        return cents(setting.threshold_cents)

    @admin.display(description="Up to", ordering="target_cents")
    def target(self, setting: AutoTopUp) -> str:
        """Write up to which balance it buys."""
        return cents(setting.target_cents)

    @admin.display(description="At most a month", ordering="month_cap_cents")
    def month_cap(self, setting: AutoTopUp) -> str:
        """Write the most it buys in a month."""
        return cents(setting.month_cap_cents)


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    """What Stripe has told us, and whether we are done with it."""

    list_display = ("stripe_id", "kind", "created_at", "received_at", "processed_at", "attempts", "error")
    list_filter = (("processed_at", admin.EmptyFieldListFilter), "received_at")
    search_fields = ("stripe_id__exact", "kind__exact")
    ordering = ("-received_at", "-pk")
