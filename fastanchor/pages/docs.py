"""The documentation: quickstart and manual."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Plan
from fastanchor import manual
from fastanchor.pages import snippets


@require_safe
def quickstart(request: HttpRequest) -> HttpResponse:
    """Lead to the first request, with the reader's own key prefix where there is one."""
    key = snippets.newest_key(request)
    filled = snippets.context(request, snippets.shown(key))
    context = {"plans": Plan.objects.in_bulk(), "newest_key": key, **filled}
    return render(request, "site/quickstart.html", context)


@require_safe
def manual_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a page of the manual."""
    if name not in manual.PAGES:
        raise Http404
    page = manual.page(name, origin=request.build_absolute_uri("/").rstrip("/"))
    return render(request, "site/manual.html", {"page": page, "pages": manual.PAGES, "current": name})
