"""The pages of an organization's money: balance, buying credit, a top-up and its refund, transactions, papers."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import SignedInRequest, signed_in
from billing import (
    checkout,
    details,
    following,
    invoices,
    refund_offers,
    refunds,
    statements,
    sync,
    transactions,
    wallets,
)
from billing.details import Buyer
from billing.forms import TopUpForm
from billing.models import TopUp, TopUpStatus
from billing.months import Month, NotAMonth
from billing.overview import show_overview
from billing.stripe_api.client import StripeFault, StripeRefused, is_configured
from fastanchor.lib.money import cents_to_nanos, short_usd

logger = logging.getLogger(__name__)

PAGE_SIZE = 50
# Each is a page at Stripe, which hears only so many calls a second from all of us.
MOST_UNPAID = 20


@require_safe
@signed_in
def overview(request: SignedInRequest) -> HttpResponse:
    """Show the balance, what credit can be bought, and what moved last."""
    return show_overview(request)


@require_POST
@signed_in
def start_top_up(request: SignedInRequest) -> HttpResponse:
    """Lead to Stripe's page, on which the amount is paid."""
    form = TopUpForm(request.POST)
    if not form.is_valid():
        return show_overview(request, top_up=form, status=422)
    if not is_configured():
        return show_overview(request, top_up=form, status=503)
    if checkout.unpaid(request.organization) >= MOST_UNPAID:
        return show_overview(request, top_up=form, trouble="too-many", status=429)
    top_up = checkout.begin(
        organization=request.organization, cents=form.cleaned_data["amount"], actor=f"user:{request.user.pk}"
    )
    own_page = request.build_absolute_uri(reverse("billing:top-up", args=[top_up.pk]))
    overview_page = request.build_absolute_uri(reverse("billing:overview"))
    try:
        target = checkout.open_page(top_up, success_url=own_page, cancel_url=f"{overview_page}?cancelled=1")
    except StripeFault:
        logger.exception("billing.page_not_opened", extra={"top_up": top_up.pk})
        return show_overview(request, top_up=form, trouble="stripe-away", status=503)
    return HttpResponseRedirect(target, status=303)


@require_safe
@signed_in
def resume_top_up(request: SignedInRequest, top_up_id: str) -> HttpResponse:
    """Lead to Stripe's page once more; where that is closed, say how far the top-up is."""
    top_up = _own(request, top_up_id)
    try:
        return HttpResponseRedirect(checkout.find_page(top_up), status=303)
    except (checkout.PageClosed, StripeFault):
        return redirect("billing:top-up", top_up.pk)


@require_safe
@signed_in
def top_up_page(request: SignedInRequest, top_up_id: str) -> HttpResponse:
    """Show how far a top-up is, looking at Stripe while it is not at its end; payers come back to this page."""
    seen = following.look(_own(request, top_up_id))
    context = {
        "top_up": seen.top_up,
        "seen": seen,
        "refunds": seen.top_up.refunds.order_by("-created_at", "-pk")[:PAGE_SIZE],
        "offer": _offer(seen.top_up),
        "invoices": invoices.about(seen.top_up),
        "wallet": wallets.balance_of(request.organization),
    }
    return render(request, "billing/top_up.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def refund(request: SignedInRequest, top_up_id: str) -> HttpResponse:
    """Ask whether the unused rest of a top-up shall be paid back, and pay it back."""
    top_up = _own(request, top_up_id)
    offer = _offer(top_up)
    if offer is None or not offer.is_open:
        messages.warning(request, "Nothing of this top-up can be paid back now.")
        return redirect("billing:top-up", top_up.pk)
    asked = request.POST.get("cents", "")
    if request.method != "POST" or asked != str(offer.cents):
        context = {"top_up": top_up, "offer": offer, "has_changed": request.method == "POST"}
        return render(request, "billing/refund.html", context)
    _refund(request, top_up, offer.cents)
    return redirect("billing:top-up", top_up.pk)


@require_safe
@signed_in
def transaction_list(request: SignedInRequest) -> HttpResponse:
    """Show what moved the balance in one month, newest first, with the balance after each movement."""
    first, last = Month.of(request.organization.created_at), Month.of(timezone.now())
    try:
        month = min(max(Month.parse(request.GET.get("month", last.code)), first), last)
    except NotAMonth:
        month = last
    found = transactions.lines(organization=request.organization, start=month.start, end=month.end)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "month": month,
        "older": month.previous if month > first else None,
        "newer": month.next if month < last else None,
        "lines": page.object_list,
        "page": page,
        "unposted_nano": wallets.of(request.organization).unposted_nano if month == last else 0,
        "opening_nano": transactions.balance_at(organization=request.organization, moment=month.start),
    }
    return render(request, "billing/transactions.html", context)


@require_safe
@signed_in
def statement_list(request: SignedInRequest) -> HttpResponse:
    """List the months that have a statement, newest first."""
    page = Paginator(statements.months_of(request.organization), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"months": page.object_list, "page": page, "this_month": Month.of(timezone.now())}
    return render(request, "billing/statements.html", context)


@require_safe
@signed_in
def invoice_list(request: SignedInRequest) -> HttpResponse:
    """List the invoices and what corrects them, newest first."""
    page = Paginator(invoices.of(request.organization), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "invoices": page.object_list,
        "page": page,
        "buyer": Buyer.of(request.organization),
        "has_details": details.is_ours(request.organization),
    }
    return render(request, "billing/invoices.html", context)


def _own(request: SignedInRequest, top_up_id: str) -> TopUp:
    own = TopUp.objects.select_related("organization", "journal__lot").filter(
        organization=request.organization
    )
    return get_object_or_404(own, pk=top_up_id)


def _offer(top_up: TopUp) -> refund_offers.Offer | None:
    return refund_offers.offer(top_up) if top_up.status == TopUpStatus.SUCCEEDED else None


def _refund(request: SignedInRequest, top_up: TopUp, cents: int) -> None:
    amount = short_usd(cents_to_nanos(cents))
    try:
        wanted = refund_offers.accept(top_up=top_up, cents=cents, actor=f"user:{request.user.pk}")
        sync.send_refund(wanted)
    except refunds.InUse:
        messages.error(
            request, "Running requests hold this credit. Nothing was changed; try again when they have ended."
        )
    except (refund_offers.NotOffered, refunds.NotRefundable):
        messages.error(request, "Some of this credit was used just now. Nothing was changed.")
    except StripeRefused:
        logger.exception("billing.refund_refused", extra={"top_up": top_up.pk})
        messages.error(
            request, f"Stripe refused the refund. The {amount} are in your balance again; write to us."
        )
    except StripeFault:
        logger.exception("billing.refund_not_sent", extra={"top_up": top_up.pk})
        messages.warning(
            request,
            f"Your {amount} are set aside. Stripe does not answer just now; we send the refund as soon as it does.",
        )
    else:
        messages.success(request, f"{amount} is on its way back to your card. Banks take five to ten days.")
