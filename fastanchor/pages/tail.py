"""The address of the log's live tail."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.access import SignedInRequest, signed_in
from fastanchor import live, tail as tails
from fastanchor.pages import request_choices
from fastanchor.pages.log_form import LogForm


@signed_in
@require_GET
def stream(request: SignedInRequest) -> HttpResponseBase:
    """Send the requests that meet the log's filters, as they come."""
    choices = request_choices.of(request.organization)
    form = LogForm(request.GET, keys=choices.keys, models=choices.models)
    if not form.is_valid():
        return HttpResponse("These filters are not valid.", status=422)
    selection = form.selection(at=datetime.now(UTC))
    viewer = live.Viewer(str(request.session.session_key), request.organization)
    return live.send(viewer, tails.events(viewer, selection))
