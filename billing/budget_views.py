"""The pages on which an organization sees and sets what may be spent at most."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import budgets, keys
from accounts.access import SignedInRequest, signed_in
from accounts.forms import BudgetForm
from accounts.models import Budgeted, Membership
from billing.budgets import standings

PAGE_SIZE = 20


@require_safe
@signed_in
def budget_page(request: SignedInRequest) -> HttpResponse:
    """Show what the organization and its members have spent of their budgets."""
    return _page(request)


@require_POST
@signed_in
def set_organization_budgets(request: SignedInRequest) -> HttpResponse:
    """Set the budgets of the organization."""
    form = BudgetForm(request.POST, prefix="organization")
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        budgets.set_organization(organization=request.organization, by=request.user, **form.budgets())
    except budgets.NotAnOwner:
        raise PermissionDenied from None
    return _saved(request)


@require_POST
@signed_in
def set_member_budgets(request: SignedInRequest, membership_id: int) -> HttpResponse:
    """Set the budgets of one member."""
    membership = get_object_or_404(Membership, pk=membership_id, organization=request.organization)
    form = BudgetForm(request.POST, prefix=f"member-{membership.pk}")
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        budgets.set_member(membership=membership, by=request.user, **form.budgets())
    except budgets.NotAnOwner:
        raise PermissionDenied from None
    return _saved(request)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def key_budgets(request: SignedInRequest, key_id: str) -> HttpResponse:
    """Show what a key has spent of its budgets, and set them."""
    key = get_object_or_404(keys.of_programs(request.organization), pk=key_id)
    form = BudgetForm(request.POST, prefix="key") if request.method == "POST" else BudgetForm.of(key, "key")
    if form.is_valid() and key.revoked_at is None:
        keys.update_limits(key=key, by=request.user, **form.budgets())
        messages.success(request, "Saved. It holds within a second.")
        return redirect("billing:key-budgets", key.pk)
    [shown] = standings(request.organization.pk, {key.pk: key}).values()
    context = {"key": key, "standings": shown, "form": form}
    return render(request, "billing/key_budgets.html", context, status=422 if form.errors else 200)


def _page(request: SignedInRequest, filled: BudgetForm | None = None, *, status: int = 200) -> HttpResponse:
    """Show all budgets; a form that was filled in wrongly is shown as it was filled in."""
    organization = request.organization
    members = organization.memberships.select_related("user").order_by("created_at", "pk")
    page = Paginator(members, PAGE_SIZE).get_page(request.GET.get("page"))
    subjects: dict[str, Budgeted] = {organization.pk: organization}
    subjects |= {budgets.member_subject(each.user_id): each for each in page.object_list}
    shown = standings(organization.pk, subjects)

    def section(subject: str, budgeted: Budgeted, prefix: str) -> dict[str, Any]:
        form = filled if filled and filled.prefix == prefix else BudgetForm.of(budgeted, prefix)
        return {"of": budgeted, "standings": shown[subject], "form": form}

    context = {
        "own": section(organization.pk, organization, "organization"),
        "members": [
            section(budgets.member_subject(each.user_id), each, f"member-{each.pk}")
            for each in page.object_list
        ],
        "page": page,
        "may_change": budgets.is_owner(request.user, organization.pk),
    }
    return render(request, "billing/budgets.html", context, status=status)


def _saved(request: SignedInRequest) -> HttpResponse:
    messages.success(request, "Saved. It holds within a second.")
    return redirect("billing:budgets")
