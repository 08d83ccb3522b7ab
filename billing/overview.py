"""The overview of an organization's money, and buying credit."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.access import SignedInRequest
from accounts.models import Organization
from billing import checkout, details, transactions, wallets
from billing.forms import TopUpForm
from billing.stripe_api.client import checkout_origin, is_configured
from fastanchor.lib.policy import policy

NEWEST = 10
RECENT = timedelta(days=30)
MOST_WAITING = 5


def show_overview(
    request: SignedInRequest,
    *,
    top_up: TopUpForm | None = None,
    trouble: str = "",
    status: int = 200,
) -> HttpResponse:
    """Show the overview; a form that was filled in wrongly as it was filled in."""
    organization = request.organization
    context = {
        **_money(organization),
        "form": top_up or TopUpForm(),
        "presets": checkout.PRESET_CENTS,
        "can_buy": is_configured(),
        "has_details": details.is_ours(organization),
        "trouble": trouble,
        "was_cancelled": "cancelled" in request.GET,
    }
    response = render(request, "billing/overview.html", context, status=status)
    return may_lead_to_stripe(response)


def may_lead_to_stripe(response: HttpResponse) -> HttpResponse:
    """Let the forms of a page lead on to Stripe's page, and return the page."""
    # Chromium asks the policy of the page with the form where a form may be led on to.
    response.headers["Content-Security-Policy"] = policy(form_target=checkout_origin())
    return response


def _money(organization: Organization) -> dict[str, object]:
    now = timezone.now()
    # Until tomorrow: the clock of the host that booked the last line may be ahead of ours.
    newest = transactions.lines(organization=organization, start=now - RECENT, end=now + timedelta(days=1))
    wallet = wallets.balance_of(organization)
    return {
        "wallet": wallet,
        "state": wallet.state,
        "waiting": checkout.waiting(organization)[:MOST_WAITING],
        "lines": newest[:NEWEST],
    }
