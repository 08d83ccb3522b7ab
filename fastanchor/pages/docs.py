"""The documentation: its pages, the search over them, and the interactive reference."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from accounts.models import ApiKey
from fastanchor.lib.policy import policy
from fastanchor.manual import reading, search, values
from fastanchor.manual.blocks import EXAMPLE_ORIGIN
from fastanchor.manual.contents import BY_NAME, CHAPTERS, neighbours
from fastanchor.pages import snippets

_PLACEHOLDER_KEYS = (snippets.PLACEHOLDER_KEY, "fa_live_...")
# Where a page wants to know whether its reader has a key.
_KEY_PART = "<p>[[key]]</p>"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List all pages."""
    return render(request, "docs/index.html", {"chapters": CHAPTERS})


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a page with the reader's own address, and the prefix of the reader's own key where there is one."""
    if name not in BY_NAME:
        raise Http404
    found = reading.written(name)
    before, after = neighbours(name)
    context = {
        "chapters": CHAPTERS,
        "entry": BY_NAME[name],
        "page": found,
        "html": _filled(request, found.html),
        "before": before,
        "after": after,
    }
    return render(request, "docs/page.html", context)


def _filled(request: HttpRequest, html: str) -> SafeString:
    key = snippets.newest_key(request)
    html = values.fill(html).replace(EXAMPLE_ORIGIN, escape(request.build_absolute_uri("/").rstrip("/")))
    if key is not None:
        for placeholder in _PLACEHOLDER_KEYS:
            html = html.replace(placeholder, escape(snippets.shown(key)))
    if _KEY_PART in html:
        html = html.replace(_KEY_PART, _key_part(request, key))
    return reading.safe(html)


def _key_part(request: HttpRequest, key: ApiKey | None) -> str:
    return render_to_string("docs/_key.html", {"newest_key": key, "user": request.user})


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """Search all pages."""
    query = request.GET.get("q", "").strip()[: search.MOST_LETTERS]
    return render(
        request, "docs/search.html", {"chapters": CHAPTERS, "query": query, "found": search.find(query)}
    )


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Show every path of ``/v1``, to be tried out."""
    response = render(request, "docs/reference.html", {"chapters": CHAPTERS, "is_reference": True})
    # Swagger UI writes styles into its elements.
    response["Content-Security-Policy"] = policy(has_inline_styles=True)
    return response
