"""What the organization's requests did, and what each of them cost."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, signed_in
from billing.usage import UnknownRequest
from fastanchor import dashboard


@signed_in
@require_safe
def request_receipt(request: SignedInRequest, request_id: str) -> HttpResponse:
    """Show what one request cost, and how that came about."""
    try:
        context = dashboard.receipt(organization=request.organization, request_id=request_id)
    except UnknownRequest:
        raise Http404 from None
    return render(request, "dashboard/request.html", context)


@signed_in
@require_safe
def log(request: SignedInRequest) -> HttpResponse:
    """Show the requests."""
    raise Http404
