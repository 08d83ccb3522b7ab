"""The admin's page that adds a price, with a step between: what the price changes, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import inlineformset_factory
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts import reasons
from catalog.forms import PriceForm, TierForm, TierFormSet
from catalog.listing import prices_in_force
from catalog.models import Price, PriceTier
from catalog.publish import tier_of
from catalog.snapshot import Tier
from fastanchor.staff.price_effects import Change, effects

if TYPE_CHECKING:
    from django.forms.models import BaseInlineFormSet

# How the preview says that it was seen.
_SEEN = "_seen"


def add_price(request: HttpRequest) -> HttpResponse:
    """Show the admin's own form; then what its price would change; then let the admin add it."""
    page = admin.site.get_model_admin(Price)
    if request.method == "POST" and _SEEN not in request.POST and page.has_add_permission(request):
        form, tiers = PriceForm(request.POST), _tiers(request)
        if form.is_valid() and tiers is not None and reasons.given(request):
            return _preview(request, form, tiers)
    return page.add_view(request)


def _tiers(request: HttpRequest) -> list[Tier] | None:
    """Return the tiers that were typed, or nothing where the admin's form has to say what is wrong."""
    kind: type[BaseInlineFormSet[PriceTier, Price, Any]] = inlineformset_factory(
        Price, PriceTier, form=TierForm, formset=TierFormSet, extra=1, min_num=1, can_delete=False
    )
    formset = kind(request.POST, instance=Price())
    assert isinstance(formset, TierFormSet)
    return formset.tiers() if formset.is_valid() else None


def _preview(request: HttpRequest, form: PriceForm, tiers: list[Tier]) -> HttpResponse:
    if not request.user.has_perm("catalog.view_price"):
        raise PermissionDenied
    now = timezone.now()
    model, start = form.cleaned_data["model"], form.cleaned_data["valid_from"]
    present = prices_in_force([model.pk], at=start or now).get(model.pk)
    before = [tier_of(tier) for tier in present.tiers.all()] if present else []
    (effect,) = effects([Change(model.pk, before, tiers)], now=now)
    typed = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name != "csrfmiddlewaretoken"
    ]
    context = {
        "title": "What this price changes",
        "effects": [(effect, start)],
        "typed": typed,
        "seen": _SEEN,
    }
    return TemplateResponse(
        request, "admin/prices/add_preview.html", {**admin.site.each_context(request), **context}
    )
