"""Open items: what does not add up, what each side says of it, and the ways to settle it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from billing import items, remedies
from billing.admin.base import ReadOnlyAdmin, Tool, page_of, quoted, unquoted, usd, who
from billing.admin.drafting import Page, actor_of, already_closed, answer, show_form
from billing.admin.forms import BookForm, CreditForm, ReasonForm
from billing.drafts import Draft
from billing.models import ItemState, Journal, ReconciliationItem
from billing.remedies import Decision, Remedy

_MEANINGS = {
    "cash_missing": (
        "Stripe moved money, and no journal of ours books it. A payment of nobody has an item of its own, by which it can"
        " be credited; then this one closes by itself."
    ),
    "cash_differs": "Stripe moved money, and our journals book another amount.",
    "cash_unknown": "Stripe moved money in a way whose meaning we do not know.",
    "cash_unheard": "A journal of ours moved Stripe's cash, and Stripe has told of no such movement.",
    "cash_total": "What our ledger says that Stripe holds for us is not what Stripe says.",
    "orphan_payment": "A payment has succeeded that belongs to no top-up of the customer who made it.",
    "payment_mismatch": "A payment is of another amount or currency than was ordered; it was not credited.",
    "second_payment": "A top-up was paid twice; both payments were credited.",
    "books": "An invariant of our own books does not hold.",
    "meter_value": "Usage of a day became less than Stripe was told, or more than it takes.",
    "meter_refused": "Stripe's meter refuses a day's usage.",
    "meter_differs": "Stripe's meter has counted another usage than we have.",
    "capture_rate": (
        "A provider billed another amount for a day than our customers were charged for what it served. It closes by itself"
        " once the two agree, be it by a later bill or by usage that came in late."
    ),
}
_SUBJECTS = {
    "pi_": "Payment (pi_…)",
    "txn_": "Movement (txn_…)",
    "org_": "Organization and day (org_…)",
    "I": "Invariant (I1 …)",
    "stripe_clearing": "All cash at Stripe",
}


_EXPLAIN = "Closes the item with your reason. Nothing is booked: use it where no money has to move."


class OpenFilter(admin.SimpleListFilter):
    """Open or closed."""

    title = "state"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer both, and how it was closed."""
        return [("open", "Open"), ("closed", "Closed"), ("fixed", "Fixed"), ("explained", "Explained")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ReconciliationItem]
    ) -> QuerySet[ReconciliationItem]:
        """Keep what was chosen."""
        if self.value() == "closed":
            return queryset.exclude(state=ItemState.OPEN)
        state = self.value()
        return queryset.filter(state=state) if state else queryset


class SubjectFilter(admin.SimpleListFilter):
    """What the subject is."""

    title = "subject"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the kinds of subjects."""
        return list(_SUBJECTS.items())

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ReconciliationItem]
    ) -> QuerySet[ReconciliationItem]:
        """Keep the subjects that begin so."""
        begin = self.value()
        return queryset.filter(subject__startswith=begin) if begin else queryset


@admin.register(ReconciliationItem)
class ReconciliationItemAdmin(ReadOnlyAdmin):
    """Differences; each is closed by a journal, or with a word where nothing has to move."""

    list_display = (
        "kind", "subject", "ours", "theirs", "missing", "state", "opened_at", "closed_by", "journal",
    )  # fmt: skip
    list_filter = (OpenFilter, "kind", SubjectFilter, "opened_at")
    list_select_related = ("journal",)
    search_fields = ("subject", "ours", "theirs", "note")
    ordering = ("-opened_at", "-id")
    fields = (
        "kind", "meaning", "subject", "ours", "our_journals", "theirs", "missing", "state", "opened_at", "seen_at",
        "found_by", "closed_at", "closer", "note", "journal",
    )  # fmt: skip

    @admin.display(description="Missing in our books (USD)", ordering="missing_nano")
    def missing(self, item: ReconciliationItem) -> str:
        """Write what our books lack."""
        return usd(item.missing_nano) if item.missing_nano is not None else "-"

    @admin.display(description="Meaning")
    def meaning(self, item: ReconciliationItem) -> str:
        """Write what such an item is."""
        return _MEANINGS.get(item.kind, "-")

    @admin.display(description="Our journals about it")
    def our_journals(self, item: ReconciliationItem) -> SafeString | str:
        """Write which journals of ours are about the subject."""
        about = [item.subject, *(f"{kind}:{item.subject}" for kind in ("topup", "stripe", "stripe_fee"))]
        found = Journal.objects.filter(idempotency_key__in=about).order_by("pk")
        links = ((page_of(each), each, each.reason, who(each.actor)) for each in found)
        return format_html_join("", '<div><a href="{}">{}</a>: {}, by {}</div>', links) or "None"

    @admin.display(description="Found by runs")
    def found_by(self, item: ReconciliationItem) -> SafeString | str:
        """Write the latest runs that saw it."""
        runs = item.runs.order_by("-pk")[:10]
        return format_html_join(", ", '<a href="{}">{}</a>', ((page_of(run), run) for run in runs)) or "-"

    @admin.display(description="Closed by")
    def closer(self, item: ReconciliationItem) -> str:
        """Write who closed it."""
        return who(item.closed_by) or "-"

    def tools(self, request: HttpRequest, row: ReconciliationItem) -> list[Tool]:
        """Offer the ways to close an open item."""
        if row.state != ItemState.OPEN or not request.user.has_perm("billing.close_reconciliationitem"):
            return []
        remedy = remedies.remedy_of(row)
        names = [("Close without a journal", "explain")]
        if remedy == Remedy.CREDIT:
            names.insert(0, ("Credit the payment", "credit"))
        elif remedy == Remedy.BOOK:
            names.insert(0, ("Close with a journal", "book"))
        return [
            Tool(label, reverse(f"admin:billing_item_{name}", args=[quoted(row)])) for label, name in names
        ]

    def get_urls(self) -> list[URLPattern]:
        """Add the three forms."""
        view = self.admin_site.admin_view
        return [
            path("<str:object_id>/book/", view(self.book), name="billing_item_book"),
            path("<str:object_id>/credit/", view(self.credit), name="billing_item_credit"),
            path("<str:object_id>/explain/", view(self.explain), name="billing_item_explain"),
            *super().get_urls(),
        ]

    def book(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Book the cash that our books lack."""
        item = self._item(request, object_id)

        def draft(form: BookForm) -> Draft:
            return remedies.book_cash(
                Decision(item, form.cleaned_data["reason"], actor_of(request)),
                account=form.account_code,
                organization=form.cleaned_data["organization"],
            )

        words = f"Books {self.missing(item)} of Stripe's cash, which our books lack, and closes the item."
        return answer(request, Page(self, item, f"Settle {item}", words, BookForm), draft)

    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Credit a payment to who has paid it."""
        item = self._item(request, object_id)

        def draft(form: CreditForm) -> Draft:
            decision = Decision(item, form.cleaned_data["reason"], actor_of(request))
            return remedies.credit_payment(decision, organization=form.cleaned_data["organization"])

        words = (
            "Credits what Stripe has received, and closes the item; what becomes of the payment is followed."
        )
        owner = {"organization": remedies.owner_of(item)}
        return answer(request, Page(self, item, f"Credit {item.subject}", words, CreditForm, owner), draft)

    def explain(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close an item for which nothing has to move."""
        item = self._item(request, object_id)
        page = Page(self, item, f"Close {item}", _EXPLAIN, ReasonForm, verb="Close the item")
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            return show_form(request, page, form)
        try:
            items.explain(item, by=actor_of(request), reason=form.cleaned_data["reason"])
        except items.AlreadyClosed as exc:
            return already_closed(request, page, exc)
        self.log_change(request, item, "Closed without a journal")
        messages.success(request, "Closed.")
        return HttpResponseRedirect(page_of(item))

    def _item(self, request: HttpRequest, object_id: str) -> ReconciliationItem:
        if not request.user.has_perm("billing.close_reconciliationitem"):
            raise PermissionDenied
        return get_object_or_404(ReconciliationItem, pk=unquoted(object_id))
