"""Credit that waits for a second person: the list, and what each of the two may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from accounts.models import Organization, User
from billing import credit_proposals
from billing.admin.base import ReadOnlyAdmin, Tool, page_of, quoted, unquoted, usd
from billing.admin.drafting import Page, answer, show_form
from billing.admin.forms import GiveForm, ReasonForm
from billing.drafts import Draft
from billing.models import CreditProposal

_SAID = {"decline": "Declined. Nothing was booked.", "withdraw": "Withdrawn. Nothing was booked."}


def propose(request: HttpRequest, organization: Organization, form: GiveForm) -> HttpResponse:
    """Propose what the form asks for, and lead to the proposal."""
    proposal = credit_proposals.propose(
        organization=organization,
        amount_nano=form.cleaned_data["amount"],
        expires_at=form.expires_at,
        reason=form.cleaned_data["reason"],
        by=cast("User", request.user),
        form_key=form.cleaned_data["key"],
    )
    messages.success(request, "Proposed. Nothing is booked before a second person approves it.")
    is_shown = request.user.has_perm("billing.view_creditproposal")
    return HttpResponseRedirect(page_of(proposal) if is_shown else reverse("admin:index"))


@admin.register(CreditProposal)
class CreditProposalAdmin(ReadOnlyAdmin):
    """Credit above what one person may give."""

    list_display = ("id", "organization", "amount", "proposed_by", "proposed_at", "valid_until", "stands")
    list_filter = ("state",)
    list_select_related = ("organization", "proposed_by")
    search_fields = ("id__exact",)
    of_organization = "organization"
    ordering = ("-pk",)
    fields = (
        "id", "organization", "amount", "reason", "credit_expires_at", "stands", "proposed_by", "proposed_at",
        "valid_until", "decided_by", "decided_at", "decision", "journal",
    )  # fmt: skip

    @admin.display(description="Amount (USD)", ordering="amount_nano")
    def amount(self, proposal: CreditProposal) -> str:
        """Write the amount with all its places."""
        return usd(proposal.amount_nano)

    @admin.display(description="State", ordering="state")
    def stands(self, proposal: CreditProposal) -> str:
        """Write the state; one whose time is over has expired, marked or not."""
        is_late = proposal.state == "open" and not proposal.is_open
        return "Expired" if is_late else proposal.get_state_display()

    def tools(self, request: HttpRequest, row: CreditProposal) -> list[Tool]:
        """Offer the second person to decide, and the first to think better of it."""
        if not row.is_open:
            return []
        names = [name for name in ("approve", "decline", "withdraw") if _may(request, row, name)]
        return [
            Tool(name.capitalize(), reverse(f"admin:billing_creditproposal_{name}", args=[quoted(row)]))
            for name in names
        ]

    def get_urls(self) -> list[URLPattern]:
        """Add the three forms."""
        view = self.admin_site.admin_view
        return [
            path("<str:object_id>/approve/", view(self.approve), name="billing_creditproposal_approve"),
            path("<str:object_id>/decline/", view(self.decline), name="billing_creditproposal_decline"),
            path("<str:object_id>/withdraw/", view(self.withdraw), name="billing_creditproposal_withdraw"),
            *super().get_urls(),
        ]

    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what will be booked, and book it."""
        proposal = self._proposal(request, object_id, "approve")

        def draft(form: ReasonForm) -> Draft:
            return credit_proposals.approve(
                proposal=proposal, by=cast("User", request.user), why=form.cleaned_data["reason"]
            )

        words = (
            f"{proposal.proposed_by} proposes {usd(proposal.amount_nano)} for {proposal.organization}:"
            f" {proposal.reason}"
        )
        return answer(request, Page(self, proposal, "Approve credit", words, ReasonForm), draft)

    def decline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Refuse it."""
        return self._end(request, object_id, "decline", credit_proposals.decline)

    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take it back."""
        return self._end(request, object_id, "withdraw", credit_proposals.withdraw)

    def _end(
        self, request: HttpRequest, object_id: str, name: str, end: Callable[..., CreditProposal]
    ) -> HttpResponse:
        proposal = self._proposal(request, object_id, name)
        words = f"{usd(proposal.amount_nano)} for {proposal.organization}: {proposal.reason}"
        page = Page(self, proposal, f"{name.capitalize()} credit", words, ReasonForm, verb=name.capitalize())
        form: forms.Form = ReasonForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return show_form(request, page, form)
        try:
            end(proposal=proposal, by=request.user, why=form.cleaned_data["reason"])
        except credit_proposals.NotOpen as exc:
            messages.error(request, f"Too late: it is {exc.proposal.get_state_display().lower()}.")
        else:
            messages.success(request, _SAID[name])
        return HttpResponseRedirect(page_of(proposal))

    def _proposal(self, request: HttpRequest, object_id: str, name: str) -> CreditProposal:
        if not request.user.has_perm("billing.view_creditproposal"):
            raise PermissionDenied
        rows = CreditProposal.objects.select_related("organization", "proposed_by")
        proposal = get_object_or_404(rows, pk=unquoted(object_id))
        if not _may(request, proposal, name):
            raise PermissionDenied
        return proposal


def _may(request: HttpRequest, proposal: CreditProposal, name: str) -> bool:
    is_own = proposal.proposed_by_id == request.user.pk
    return is_own if name == "withdraw" else request.user.has_perm("billing.approve_credit") and not is_own
