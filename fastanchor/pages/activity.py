"""What the organization's requests did: the log of all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, signed_in
from billing import request_log, usage
from billing.request_log import NotAPosition, Order, Page, Position
from billing.selection import Selection
from fastanchor import activity
from fastanchor.pages import request_choices
from fastanchor.pages.log_form import PLACES, LogForm, chips
from fastanchor.pages.request_choices import Choices

_NO_SUCH = "You have no request with this id. Look for it as x-request-id in the answer's headers."


@signed_in
@require_safe
def log(request: SignedInRequest) -> HttpResponse:
    """Show the requests that are asked for, or the one whose id is."""
    wanted = request.GET.get("id", "").strip()
    if wanted and _is_own(request, wanted):
        return redirect("request", wanted)
    choices = request_choices.of(request.organization)
    form = LogForm(request.GET, keys=choices.keys, models=choices.models)
    context: dict[str, Any] = {"form": form, "wanted": wanted, "missing": _NO_SUCH if wanted else ""}
    if not form.is_valid():
        return render(request, "activity/log.html", context, status=422)
    selection = form.selection(at=datetime.now(UTC))
    page = _page(request, selection, form.order)
    context |= {
        "page": page,
        "rows": [activity.row(record, choices.keys) for record in page.records],
        "chips": chips(form, request.GET),
        "total": request_log.total(organization=request.organization, selection=selection)
        if selection.start
        else None,
        "is_newest": form.order == Order.NEWEST,
        "is_top": page.newer is None,
        "is_unused": _is_unused(choices),
        "filters": _filters(request),
    }
    return render(request, "activity/log.html", context, status=404 if wanted else 200)


def _is_own(request: SignedInRequest, request_id: str) -> bool:
    try:
        usage.find(organization=request.organization, request_id=request_id)
    except usage.UnknownRequest:
        return False
    return True


def _is_unused(choices: Choices) -> bool:
    return not choices.models


def _page(request: SignedInRequest, selection: Selection, order: Order) -> Page:
    """Read the page that the address asks for; where nothing newer is left, it is the first."""
    where: dict[str, Any] = {
        "organization": request.organization,
        "selection": selection,
        "order": order,
    }
    try:
        if before := request.GET.get("before"):
            return request_log.read(**where, position=Position.parse(before))
        if after := request.GET.get("after"):
            page = request_log.read(**where, position=Position.parse(after), is_backward=True)
            if page.newer:
                return page
    except NotAPosition:
        raise Http404 from None
    return request_log.read(**where)


def _filters(request: SignedInRequest) -> str:
    """Return the filters as an address carries them, without the place."""
    query = request.GET.copy()
    for name in (*PLACES, "id"):
        query.pop(name, None)
    return query.urlencode()
