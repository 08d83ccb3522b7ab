"""The dashboard's first page."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, signed_in
from fastanchor import dashboard
from fastanchor.pages import snippets


@signed_in
@require_safe
def overview(request: SignedInRequest) -> HttpResponse:
    """Show balance, spend, requests, latency, today and the newest requests of the organization."""
    key = snippets.newest_key(request)
    context = {
        "organization": request.organization,
        "newest_key": key,
        "rows": [dashboard.row_html(row) for row in dashboard.rows(organization=request.organization)],
        **dashboard.balance(organization=request.organization),
        **dashboard.numbers(organization=request.organization, at=datetime.now(UTC)),
        **snippets.context(request, snippets.shown(key)),
    }
    return render(request, "dashboard/overview.html", context)
