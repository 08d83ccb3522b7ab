"""The pages of staff about customers: finding one, and all that is known of it on one page."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts import notes, organizations
from accounts.models import Organization, User
from billing import wallets
from billing.admin.base import page_of, usd
from billing.models import Wallet
from fastanchor.staff import customer_search
from fastanchor.staff.customer_actions import offered
from fastanchor.staff.customer_parts import PARTS, moment
from fastanchor.staff.customer_usage import used

Facts = list[tuple[str, object]]


@require_safe
@permission_required("accounts.view_organization", raise_exception=True)
def customers(request: HttpRequest) -> HttpResponse:
    """Find customers; without a word, show those that came last."""
    words = request.GET.get("q", "").strip()[:200]
    found = customer_search.find(words, reader=cast("User", request.user)) if words else []
    if len(found) == 1 and found[0].by != "name":
        return redirect("customer", found[0].organization.pk)
    context = {
        **admin.site.each_context(request),
        "title": "Customers",
        "words": words,
        "found": found,
        "newest": [] if words else customer_search.newest(),
        "most": customer_search.MOST,
    }
    return TemplateResponse(request, "admin/customers/search.html", context)


@require_safe
@permission_required("accounts.view_organization", raise_exception=True)
def customer(request: HttpRequest, org_id: str) -> HttpResponse:
    """Show all that the reader may know of one customer."""
    return TemplateResponse(request, "admin/customers/page.html", _context(request, find(org_id)))


@require_POST
@permission_required("accounts.add_organizationnote", raise_exception=True)
def add_note(request: HttpRequest, org_id: str) -> HttpResponse:
    """Write a note about a customer."""
    organization = find(org_id)
    try:
        notes.write(
            organization=organization, text=request.POST.get("text", ""), by=cast("User", request.user)
        )
    except notes.NotANote:
        messages.error(request, f"A note has 1 to {notes.MOST_TEXT:,} characters. Nothing was written.")
    else:
        messages.success(request, "Noted.")
    return redirect(f"{reverse('customer', args=[organization.pk])}#notes")


def find(org_id: str) -> Organization:
    """Return a customer with plan and wallet, or answer 404."""
    return get_object_or_404(Organization.objects.select_related("plan", "wallet"), pk=org_id)


def _context(request: HttpRequest, organization: Organization) -> dict[str, Any]:
    user, at = cast("User", request.user), timezone.now()
    wallet = getattr(organization, "wallet", None)
    may_read_money = user.has_perm("billing.view_wallet")
    may_read_usage = user.has_perm("billing.view_usagerecord")
    return {
        **admin.site.each_context(request),
        "title": organization.name,
        "organization": organization,
        "facts": _facts(organization),
        "limits": organizations.limits_of(organization),
        "wallet": _wallet(wallet) if may_read_money and wallet is not None else [],
        "wallet_page": page_of(wallet) if may_read_money and wallet is not None else "",
        "used": used(organization, at) if may_read_usage else None,
        "tables": [part.make(organization, user, at) for part in PARTS if user.has_perm(part.permission)],
        "actions": offered(request, organization),
        "may_note": user.has_perm("accounts.add_organizationnote"),
        "most_text": notes.MOST_TEXT,
    }


def _facts(organization: Organization) -> Facts:
    return [
        ("Id", organization.pk),
        ("Plan", organization.plan.name),
        ("Kind", "personal" if organization.is_personal else "company"),
        ("Since (UTC)", moment(organization.created_at)),
        *(
            [("Frozen since (UTC)", moment(organization.frozen_at))]
            if organization.frozen_at is not None
            else []
        ),
    ]


def _wallet(wallet: Wallet) -> Facts:
    view = wallets.held_in(wallet)
    return [
        ("Balance", usd(wallet.balance_nano)),
        ("Held by running requests", "not known" if view is None else usd(view)),
        ("Used and not yet in the ledger", usd(wallet.unposted_nano)),
        ("Lowest balance", usd(wallet.floor_nano)),
        ("State", wallet.get_state_display()),
    ]
