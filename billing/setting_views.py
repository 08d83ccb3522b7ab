"""What an organization sets for when its credit runs low: the automatic top-up, and the mail."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.access import SignedInRequest, signed_in
from billing import auto_settings, low_balance
from billing.forms import AutoTopUpForm, LowBalanceForm

logger = logging.getLogger(__name__)


@require_safe
@signed_in
def automatic(request: SignedInRequest) -> HttpResponse:
    """Show the automatic top-up and the mail about a low balance."""
    return _show(request)


@require_POST
@signed_in
def set_auto_top_up(request: SignedInRequest) -> HttpResponse:
    """Set when, up to where and how much at most the saved card is charged."""
    form = AutoTopUpForm(request.POST)
    if not form.is_valid():
        return _show(request, auto=form, status=422)
    wanted = form.wanted()
    try:
        auto_settings.save(organization=request.organization, wanted=wanted, by=f"user:{request.user.pk}")
    except auto_settings.NoCard:
        form.add_error("is_on", "Save a card first: without one nothing can be charged.")
        return _show(request, auto=form, status=422)
    messages.success(request, f"Automatic top-up is {'on' if wanted.is_on else 'off'}.")
    return redirect("billing:automatic")


@require_POST
@signed_in
def set_low_balance(request: SignedInRequest) -> HttpResponse:
    """Set below which balance a mail is sent."""
    form = LowBalanceForm(request.POST)
    if not form.is_valid():
        return _show(request, low=form, status=422)
    cents = form.cleaned_data["threshold"]
    low_balance.change(request.organization, cents=cents)
    logger.info(
        "billing.low_balance_set",
        extra={"organization": request.organization.pk, "by": f"user:{request.user.pk}", "cents": cents},
    )
    messages.success(request, "Saved." if cents else "Saved: we send no mail about the balance.")
    return redirect("billing:automatic")


def _show(
    request: SignedInRequest,
    *,
    auto: AutoTopUpForm | None = None,
    low: LowBalanceForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """Show both forms; one that was filled in wrongly as it was filled in."""
    organization = request.organization
    context = {
        "auto": auto_settings.standing(organization),
        "auto_form": auto or AutoTopUpForm.of(auto_settings.wanted_of(organization)),
        "low_form": low or LowBalanceForm(initial={"threshold": low_balance.threshold_of(organization)}),
    }
    return render(request, "billing/automatic.html", context, status=status)
