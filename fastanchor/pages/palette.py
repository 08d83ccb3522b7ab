"""What the command palette finds beside the places of the navigation: a request, models, the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

import fastanchor.manual.search as docs
from catalog import search as models

MOST_LETTERS = 80
MOST_OF_EACH = 5
_REQUEST = "req_"


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """Answer with what the words of ``?q=`` may mean, best first: label, group and path of each."""
    words = request.GET.get("q", "").strip()[:MOST_LETTERS]
    return JsonResponse({"found": [*_found(words)] if words else []})


def _found(words: str) -> Iterator[dict[str, str]]:
    if words.startswith(_REQUEST) and words.isascii() and " " not in words:
        yield _line(words, "Request", f"{reverse('activity')}?{urlencode({'id': words})}")
        return
    for model in models.find(models.Search(words=words), at=datetime.now(UTC))[:MOST_OF_EACH]:
        yield _line(model.name, "Model", reverse("model", args=[model.pk]))
    for found in docs.find(words)[:MOST_OF_EACH]:
        label = (
            f"{found.entry.label}: {found.section.heading}" if found.section.heading else found.entry.label
        )
        yield _line(label, "Docs", reverse("manual", args=[found.entry.name]) + found.anchor)


def _line(label: str, group: str, path: str) -> dict[str, str]:
    return {"label": label, "group": group, "path": path}
