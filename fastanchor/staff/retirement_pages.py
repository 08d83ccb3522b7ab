"""Staff's calendar of models that end: who still uses them, a notice to those, and an alias for their callers."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts import reasons
from accounts.models import User
from billing import model_usage
from billing.model_usage import ModelUsage
from catalog import retirement
from catalog.models import CatalogModel, ModelAlias
from catalog.retirement_tables import RetirementNotice

_PER_PAGE = 50
_ORGANIZATIONS_SHOWN = 50


class StandInForm(forms.Form):
    """What answers in a retired model's place."""

    successor = forms.ModelChoiceField(queryset=CatalogModel.objects.none())
    reason = reasons.field()

    def __init__(self, data: Any = None, *, model: CatalogModel) -> None:
        super().__init__(data, initial={"successor": model.replaced_by_id})
        cast(
            "forms.ModelChoiceField[CatalogModel]", self.fields["successor"]
        ).queryset = retirement.successors(model)


@require_safe
@permission_required(["catalog.view_catalogmodel", "catalog.view_retirementnotice"], raise_exception=True)
def calendar(request: HttpRequest) -> HttpResponse:
    """Show the models that end, and what they were used for in the last 30 days."""
    now = timezone.now()
    page = Paginator(retirement.calendar(), _PER_PAGE).get_page(request.GET.get("page"))
    names = [model.pk for model in page]
    used = model_usage.by_model(now=now, model_ids=names)
    aliases = dict(ModelAlias.objects.filter(name__in=names).values_list("name", "model"))
    told = set(RetirementNotice.objects.filter(model__in=names).values_list("model", "retires_at"))
    lines = [
        (model, used.get(model.pk, ModelUsage()), aliases.get(model.pk), (model.pk, model.retires_at) in told)
        for model in page
    ]
    context = {"title": "Retirement calendar", "page": page, "lines": lines, "now": now}
    return _answer(request, "admin/retirement/calendar.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("catalog.send_retirementnotice", raise_exception=True)
def notice(request: HttpRequest, model_id: str) -> HttpResponse:
    """Show who would be told that a model ends, then have them told."""
    model = get_object_or_404(CatalogModel.objects.select_related("replaced_by"), pk=model_id)
    users = model_usage.by_organization(now=timezone.now(), model_id=model.pk)
    if request.method != "POST":
        context = {
            "title": f"Tell who uses {model}",
            "model": model,
            "users": users[:_ORGANIZATIONS_SHOWN],
            "count": len(users),
        }
        return _answer(request, "admin/retirement/notice.html", context)
    try:
        retirement.order_notice(
            model=model,
            users=[(each.organization_id, each.requests) for each in users],
            by=cast("User", request.user),
        )
    except retirement.AlreadyTold:
        messages.warning(request, "They were told of this date before; nobody is told twice.")
    except retirement.NoDate:
        messages.error(request, "Nobody was told: the model has no date of its end.")
    else:
        messages.success(request, f"{len(users)} organizations are told within minutes.")
    return redirect("retirement-calendar")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(["catalog.change_catalogmodel", "catalog.add_modelalias"], raise_exception=True)
def stand_in(request: HttpRequest, model_id: str) -> HttpResponse:
    """Choose what answers when a model is retired, and let it."""
    model = get_object_or_404(CatalogModel, pk=model_id)
    form = StandInForm(request.POST if request.method == "POST" else None, model=model)
    if form.is_valid():
        alias = retirement.stand_in(
            model=model,
            successor=form.cleaned_data["successor"],
            reason=form.cleaned_data["reason"],
            by=cast("User", request.user),
        )
        messages.success(request, f"Once it is retired, {alias.name} is answered by {alias.model_id}.")
        return redirect("retirement-calendar")
    context = {"title": f"What stands in for {model}", "model": model, "form": form}
    status = 422 if form.is_bound else 200
    return _answer(request, "admin/retirement/stand_in.html", context, status)


def _answer(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context}, status=status)
