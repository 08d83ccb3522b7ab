"""The catalogue of models: what is on sale, narrowed and sorted, and a page for each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from catalog import search, sheet
from catalog.listing import listed
from catalog.models import MODEL_ID_PATTERN, Kind, Modality
from catalog.search import Facets, Search
from fastanchor.pages import snippets, status_board
from gateway.reach import paths_of
from gateway.views import missing_prefix

PAGE_SIZE = 40
ABILITIES = {
    "tools": "Tools",
    "vision": "Vision",
    "json_schema": "Structured outputs",
    "reasoning": "Reasoning",
    "web_search": "Web search",
    "audio": "Audio",
    "files": "Files",
    "streaming": "Streaming",
}
SORTS = {
    "name": "Name",
    "newest": "Newest",
    "input": "Input price",
    "output": "Output price",
    "context": "Largest context",
}
_CONTEXTS = {"32000": "32K", "128000": "128K", "200000": "200K", "1000000": "1M"}
# Dollars per 1M tokens of input, and the same in micro-USD.
_CEILINGS = {"0.10": 100_000, "0.50": 500_000, "1": 1_000_000, "3": 3_000_000, "10": 10_000_000}
_MOST_LETTERS = 80


class ModelId:
    """The part of a path that is a model's id, which may hold slashes, dots and colons."""

    regex = MODEL_ID_PATTERN.strip("^$")

    def to_python(self, value: str) -> str:
        """Return the id."""
        return value

    def to_url(self, value: str) -> str:
        """Return the id."""
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that a filter may have, and how many models on sale have it."""

    value: str
    label: str
    is_chosen: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of the search, and where it is dropped; ``count`` is what would be found then."""

    label: str
    href: str
    count: int | None = None


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """Show the models that a search finds; the query string is the search."""
    at, wanted, known = datetime.now(UTC), _search(request.GET), search.facets()
    page = Paginator(search.find(wanted, at=at), PAGE_SIZE).get_page(request.GET.get("page"))
    dropped = _chips(request.GET, wanted, known)
    counts = {} if page.paginator.count else search.found_without(wanted, at=at)
    context = {
        "page": page,
        "models": listed(page.object_list, at=at),
        "model_count": known.count,
        "search": wanted,
        "chips": dropped.values(),
        "remedies": [Chip(dropped[part].label, dropped[part].href, count) for part, count in counts.items()],
        "abilities": ABILITIES,
        **_choices(wanted, known),
        **snippets.context(request),
    }
    return render(request, "site/models.html", context)


@require_safe
def model_page(request: HttpRequest, model_id: str) -> HttpResponse:
    """Show all there is to know of one model; one that is retired says so, with status 410."""
    try:
        found = sheet.sheet(model_id, at=datetime.now(UTC))
    except sheet.NotShown:
        raise Http404 from None
    except sheet.IsAlias as alias:
        return redirect("model", model_id=alias.model_id)
    model = found.model
    context = {
        "sheet": found,
        "model": model,
        "paths": paths_of(model.kind, found.adapters),
        "abilities": [label for name, label in ABILITIES.items() if name in model.capabilities],
        "reads": [Modality(each).label for each in model.input_modalities],
        "makes": [Modality(each).label for each in model.output_modalities],
        "files": snippets.files(model.kind),
        "playground": f"{reverse('playground')}?{urlencode({'model': model.pk})}"
        if model.kind == Kind.CHAT
        else "",
        **status_board.model_health(model.pk),
        **snippets.context(request),
    }
    return render(request, "site/model.html", context, status=410 if found.is_retired else 200)


# Programs post here, without a cookie of ours.
@csrf_exempt
def without_slash(request: HttpRequest) -> HttpResponse:
    """Lead people on to the catalogue; programs that ask here have forgotten /v1."""
    if request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("accept", ""):
        return redirect("models")
    return missing_prefix(request)


def _search(given: QueryDict) -> Search:
    """Read a search; what names nothing is left out."""
    return Search(
        words=given.get("q", "").strip()[:_MOST_LETTERS],
        provider=given.get("provider", "")[:_MOST_LETTERS],
        kind=_among(given.get("kind"), Kind.values),
        abilities=tuple(each for each in ABILITIES if each in given.getlist("can")),
        least_context=int(_among(given.get("context"), _CONTEXTS) or 0),
        most_input=_CEILINGS.get(given.get("price") or ""),
        sort=_among(given.get("sort"), SORTS) or search.SORTS[0],
    )


def _among(text: str | None, known: Iterable[str]) -> str:
    return text if text in set(known) else ""


def _choices(wanted: Search, known: Facets) -> dict[str, list[Choice]]:
    """Return the choices of every filter."""
    return {
        "providers": [Choice(slug, name, slug == wanted.provider, n) for slug, name, n in known.providers],
        "kinds": [
            Choice(kind.value, str(kind.label), kind == wanted.kind, known.kinds[kind])
            for kind in Kind
            if known.kinds[kind]
        ],
        "can": [
            Choice(name, label, name in wanted.abilities, known.abilities[name])
            for name, label in ABILITIES.items()
            if known.abilities[name] and name != "streaming"
        ],
        "contexts": [
            Choice(size, label, int(size) == wanted.least_context) for size, label in _CONTEXTS.items()
        ],
        "ceilings": [Choice(usd, f"${usd}", rate == wanted.most_input) for usd, rate in _CEILINGS.items()],
        "sorts": [Choice(name, label, name == wanted.sort) for name, label in SORTS.items()],
    }


def _chips(given: QueryDict, wanted: Search, known: Facets) -> dict[str, Chip]:
    """Return what the search consists of, by the names of its conditions."""
    return {part: Chip(label, _without(given, *dropped)) for part, label, dropped in _parts(wanted, known)}


def _parts(wanted: Search, known: Facets) -> Iterator[tuple[str, str, tuple[str, str]]]:
    names: Mapping[str, str] = {slug: name for slug, name, _ in known.providers}
    if wanted.words:
        yield "words", f"“{wanted.words}”", ("q", "")
    if wanted.provider:
        yield "provider", names.get(wanted.provider, wanted.provider), ("provider", "")
    if wanted.kind:
        yield "kind", str(Kind(wanted.kind).label), ("kind", "")
    for ability in wanted.abilities:
        yield f"can:{ability}", ABILITIES[ability], ("can", ability)
    if wanted.least_context:
        yield "least_context", f"{_CONTEXTS[str(wanted.least_context)]} context or more", ("context", "")
    for usd, rate in _CEILINGS.items():
        if rate == wanted.most_input:
            yield "most_input", f"${usd} or less for input", ("price", "")


def _without(given: QueryDict, name: str, value: str) -> str:
    """Return where the same search leads without one parameter, or without one of its values; from the first page."""
    rest = given.copy()
    rest.pop("page", None)
    kept = [each for each in rest.getlist(name) if value and each != value]
    rest.setlist(name, kept)
    return f"?{rest.urlencode()}"
