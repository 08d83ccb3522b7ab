"""Terms, privacy and their like, as staff has written them."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts import legal
from accounts.models import LegalDocument


@require_safe
def document(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a document says today, or with ``?version=`` what it said or will say."""
    row = get_object_or_404(LegalDocument, pk=slug)
    origin = request.build_absolute_uri("/").rstrip("/")
    try:
        shown = legal.show(row, origin=origin, number=_number(request.GET.get("version")))
    except legal.NoVersion:
        raise Http404 from None
    return render(request, "site/legal.html", {"document": row, "shown": shown, "origin": origin})


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    # What is no number of ours is no version; nine digits are within the database's.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
