"""Settings: everything about the account as one file."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts import budgets
from accounts.access import SignedInRequest, signed_in
from billing.exports import jobs
from fastanchor import takeout
from fastanchor.pages import exports

SHOWN = 5


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def data_export(request: SignedInRequest) -> HttpResponse:
    """Show the newest exports of the account, and take the wish for another; for owners."""
    may_ask = budgets.is_owner(request.user, request.organization.pk)
    if request.method == "POST":
        if not may_ask:
            raise PermissionDenied
        return _ask(request)
    mine = jobs.of(request.organization).filter(kind=takeout.KIND, asked_by=request.user)[:SHOWN]
    context = {"exports": [exports.shown(each) for each in mine], "may_ask": may_ask}
    return render(request, "settings/data_export.html", context)


def _ask(request: SignedInRequest) -> HttpResponse:
    try:
        export = jobs.ask(
            organization=request.organization,
            by=request.user,
            kind=takeout.KIND,
            file_format="zip",
            wanted={},
        )
    except jobs.TooMany:
        messages.error(request, exports.TOO_MANY)
        return redirect("settings:data-export")
    transaction.on_commit(lambda: exports.begin(export))
    return redirect("settings:data-export")
