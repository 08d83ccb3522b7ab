"""Settings: where a person is logged in."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import sessions
from accounts.access import SignedInRequest, signed_in
from accounts.proofs import proven_lately

PAGE_SIZE = 20


@require_safe
@signed_in
def session_list(request: SignedInRequest) -> HttpResponse:
    """Show the sessions of a user, the one used last first."""
    page = Paginator(sessions.of(request.user), PAGE_SIZE).get_page(request.GET.get("page"))
    key = request.session.session_key
    rows = [sessions.seen(each, current_key=key) for each in page.object_list]
    return render(request, "settings/sessions.html", {"rows": rows, "page": page})


@require_POST
@signed_in
@proven_lately
def end_session(request: SignedInRequest, session_id: int) -> HttpResponse:
    """End one session."""
    try:
        sessions.end(user=request.user, session_id=session_id)
    except sessions.UnknownSession:
        raise Http404 from None
    messages.success(request, "That session is logged out.")
    return redirect("settings:sessions")


@require_POST
@signed_in
@proven_lately
def end_others(request: SignedInRequest) -> HttpResponse:
    """End every session but this one."""
    sessions.end_all(user=request.user, but=request.session.session_key)
    messages.success(request, "All other sessions are logged out.")
    return redirect("settings:sessions")
