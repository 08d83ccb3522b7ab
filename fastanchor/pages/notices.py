"""Putting a notice away."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts import notices
from accounts.access import SignedInRequest, signed_in


@signed_in
@require_POST
def dismiss(request: SignedInRequest) -> HttpResponse:
    """Put a notice away and go back to where the reader was."""
    try:
        notices.dismiss(user=request.user, notice_id=request.POST.get("notice", ""))
    except notices.UnknownNotice:
        raise Http404 from None
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(back if is_ours else "dashboard")
