"""Staff's pages of the price sync: what differs from the public list, what accepting it changes, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from catalog import price_decisions, price_diff, price_sync
from catalog.price_diff import Line
from catalog.prices import PriceInPast
from catalog.proposals import Finding, ListComparison, PriceProposal, ProposalState
from fastanchor.staff.price_effects import Change, effects
from fastanchor.staff.price_forms import DecisionForm

_PER_PAGE = 50
_DECIDED_SHOWN = 20
_STANDING_FIRST = ("-is_pinned", "finding", "model_name", "pk")


@dataclass(frozen=True, slots=True)
class Row:
    """One proposal on the page."""

    proposal: PriceProposal
    lines: list[Line]

    @property
    def may_accept(self) -> bool:
        """Tell whether it can become a price."""
        return price_decisions.is_acceptable(self.proposal)


@require_safe
@permission_required("catalog.view_priceproposal", raise_exception=True)
def proposals(request: HttpRequest) -> HttpResponse:
    """Show what differs from the list, and what was decided lately."""
    return _page(request, None)


@require_POST
@permission_required("catalog.compare_prices", raise_exception=True)
def compare_now(request: HttpRequest) -> HttpResponse:
    """Compare with the list at once."""
    compared = price_sync.compare_installed(now=timezone.now())
    messages.success(
        request,
        f"Compared with {compared.comparison}: {len(compared.proposed)} new findings, "
        f"{len(compared.overtaken)} overtaken.",
    )
    return redirect("price-proposals")


@require_POST
@permission_required("catalog.decide_priceproposal", raise_exception=True)
def decide(request: HttpRequest) -> HttpResponse:
    """Show what accepting would change, then do it; or dismiss."""
    standing = PriceProposal.objects.filter(state__in=price_sync.STANDING).values_list("pk", flat=True)
    form = DecisionForm(request.POST, offered=list(standing))
    if "_back" in request.POST or not form.is_valid():
        return _page(request, form)
    try:
        if "_dismiss" in request.POST:
            return _dismiss(request, form)
        if "_confirm" in request.POST:
            return _accept(request, form)
    except (price_decisions.NotDecidable, PriceInPast) as exc:
        messages.error(request, f"Nothing was changed. {exc}")
        return redirect("price-proposals")
    return _preview(request, form)


def _dismiss(request: HttpRequest, form: DecisionForm) -> HttpResponse:
    count = price_decisions.dismiss(
        proposal_ids=form.cleaned_data["chosen"],
        reason=form.cleaned_data["reason"],
        by=cast("User", request.user),
    )
    messages.success(request, f"{count} dismissed until the list changes again.")
    return redirect("price-proposals")


def _accept(request: HttpRequest, form: DecisionForm) -> HttpResponse:
    added = price_decisions.accept(
        proposal_ids=form.cleaned_data["chosen"],
        reason=form.cleaned_data["reason"],
        by=cast("User", request.user),
        effective_at=form.cleaned_data["effective_at"],
    )
    messages.success(request, f"Prices added: {', '.join(str(price) for price in added)}.")
    return redirect("price-proposals")


def _preview(request: HttpRequest, form: DecisionForm) -> HttpResponse:
    now = timezone.now()
    rows = PriceProposal.objects.filter(pk__in=form.cleaned_data["chosen"]).order_by("model_name", "pk")
    refused = [row.model_name for row in rows if not price_decisions.is_acceptable(row)]
    if refused:
        form.add_error(None, f"These can be dismissed, not accepted: {', '.join(refused)}.")
        return _page(request, form)
    changes = [
        Change(row.model_name, price_sync.restored(row.ours), price_sync.restored(row.listed)) for row in rows
    ]
    moment = form.cleaned_data["effective_at"]
    starts = {row.model_name: price_decisions.starts_at(row, moment, now=now) for row in rows}
    shown = [(effect, starts[effect.change.model_id]) for effect in effects(changes, now=now)]
    context = {"title": "What accepting changes", "effects": shown, "form": form}
    return _answer(request, "admin/prices/preview.html", context)


def _page(request: HttpRequest, form: DecisionForm | None) -> HttpResponse:
    standing = PriceProposal.objects.filter(state__in=price_sync.STANDING).order_by("state", *_STANDING_FIRST)
    page = Paginator(standing, _PER_PAGE).get_page(request.GET.get("page"))
    decided = PriceProposal.objects.filter(state__in=(ProposalState.ACCEPTED, ProposalState.DISMISSED))
    context = {
        "title": "Price proposals",
        "page": page,
        "groups": _groups([_row(each) for each in page]),
        "form": form or DecisionForm(offered=[]),
        "chosen": request.POST.getlist("chosen"),
        "last": ListComparison.objects.order_by("-compared_at", "-pk").first(),
        "decided": decided.select_related("decided_by").order_by("-decided_at", "-pk")[:_DECIDED_SHOWN],
    }
    status = 422 if form is not None and form.errors else 200
    return _answer(request, "admin/prices/proposals.html", context, status)


def _groups(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Return what stands under which headline, without empty ones."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(_headline(row.proposal), []).append(row)
    return list(found.items())


def _headline(proposal: PriceProposal) -> str:
    if proposal.is_pinned:
        return "Pinned by the owner: reported only"
    return {
        Finding.CHANGED.value: "Prices that differ",
        Finding.NEW.value: "New on the list: the next deploy adds them",
        Finding.GONE.value: "Gone from the list",
    }[proposal.finding]


def _row(proposal: PriceProposal) -> Row:
    has_both = proposal.finding == Finding.CHANGED
    ours, listed = (price_sync.restored(tiers) for tiers in (proposal.ours, proposal.listed))
    return Row(proposal, price_diff.lines(ours, listed) if has_both else [])


def _answer(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context}, status=status)
