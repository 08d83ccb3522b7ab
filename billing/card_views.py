"""The page of saved cards; what is typed of a card is typed on Stripe's page only."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.access import SignedInRequest, signed_in
from billing import cards
from billing.overview import may_lead_to_stripe
from billing.stripe_api.client import StripeFault, is_configured

logger = logging.getLogger(__name__)

_AWAY = "Stripe, which keeps the cards, does not answer just now. Please try again in a minute."


@require_safe
@signed_in
def card_list(request: SignedInRequest) -> HttpResponse:
    """Show the saved cards; whoever comes back from Stripe sees the new one at once."""
    if "added" in request.GET and not _sync(request):
        messages.warning(request, "Stripe does not answer just now; your new card appears here by itself.")
    return _page(request)


@require_POST
@signed_in
def add_card(request: SignedInRequest) -> HttpResponse:
    """Lead to Stripe's page, on which a card is saved."""
    if not is_configured():
        return _page(request, status=503)
    own_page = request.build_absolute_uri(reverse("billing:cards"))
    try:
        target = cards.open_page(request.organization, success_url=f"{own_page}?added=1", cancel_url=own_page)
    except StripeFault:
        logger.exception("billing.card_page_not_opened", extra={"organization": request.organization.pk})
        messages.error(request, _AWAY)
        return _page(request, status=503)
    return HttpResponseRedirect(target, status=303)


@require_POST
@signed_in
def choose_card(request: SignedInRequest, card_id: int) -> HttpResponse:
    """Let automatic top-ups charge another card."""
    try:
        cards.choose(organization=request.organization, card_id=card_id, by=f"user:{request.user.pk}")
    except cards.UnknownCard:
        raise Http404 from None
    messages.success(request, "Automatic top-ups charge this card from now on.")
    return redirect("billing:cards")


@require_POST
@signed_in
def remove_card(request: SignedInRequest, card_id: int) -> HttpResponse:
    """Remove a card at Stripe, and so here."""
    try:
        cards.remove(organization=request.organization, card_id=card_id, by=f"user:{request.user.pk}")
    except cards.UnknownCard:
        raise Http404 from None
    except StripeFault:
        logger.exception("billing.card_not_removed", extra={"organization": request.organization.pk})
        messages.error(request, _AWAY)
    else:
        messages.success(request, "The card is removed.")
    return redirect("billing:cards")


def _page(request: SignedInRequest, *, status: int = 200) -> HttpResponse:
    context = {"cards": cards.of(request.organization), "can_buy": is_configured()}
    return may_lead_to_stripe(render(request, "billing/cards.html", context, status=status))


def _sync(request: SignedInRequest) -> bool:
    try:
        cards.sync(request.organization)
    except StripeFault:
        logger.warning("billing.cards_not_read", extra={"organization": request.organization.pk})
        return False
    return True
