"""What programs ask for by themselves: robots.txt, sitemap.xml, security.txt, favicon.ico."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from catalog.listing import on_sale
from fastanchor.manual.contents import ENTRIES
from fastanchor.navigation import FOOT, SITE

# More than this no sitemap may hold.
_MOST_MODELS = 40_000


@require_safe
@cache_control(max_age=3600)
def robots(request: HttpRequest) -> HttpResponse:
    """Say which paths are nobody's business, and where the sitemap is."""
    context = {"sitemap": request.build_absolute_uri(reverse("sitemap"))}
    return render(request, "site/robots.txt", context, content_type="text/plain; charset=utf-8")


@require_safe
@cache_control(max_age=3600)
def sitemap(request: HttpRequest) -> HttpResponse:
    """List every public page: the places of the navigation, the documentation, and each model."""
    paths = [reverse("home"), *(place.path for place in (*SITE, *FOOT))]
    paths += [reverse("manual", args=[entry.name]) for entry in ENTRIES]
    models = on_sale().order_by("pk").values_list("pk", flat=True)[:_MOST_MODELS]
    paths += [reverse("model", args=[model_id]) for model_id in models]
    context = {"addresses": [request.build_absolute_uri(path) for path in dict.fromkeys(paths)]}
    return render(request, "site/sitemap.xml", context, content_type="application/xml; charset=utf-8")


@require_safe
@cache_control(max_age=3600)
def security(request: HttpRequest) -> HttpResponse:
    """Say to whom holes are reported (RFC 9116)."""
    lines = {
        "Contact": settings.SECURITY_CONTACT,
        "Expires": (timezone.now() + timedelta(days=180)).strftime("%Y-%m-%dT00:00:00Z"),
        "Preferred-Languages": "en",
        "Canonical": request.build_absolute_uri(reverse("security-txt")),
    }
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_safe
@cache_control(max_age=86400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead to the icon, for those who ask without reading the page."""
    return redirect(static("img/favicon.ico"))
