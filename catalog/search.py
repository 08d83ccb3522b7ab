"""Finding models on sale: by words, provider, kind, what they can do, size and price; counted, sorted, in few queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower, NullIf

from catalog.listing import in_force_first, on_sale
from catalog.models import Capability, CatalogModel, Kind, ModelAlias, Price, PriceTier

# What is not priced by its input or output tokens comes last where these are sorted by.
_SORTS: Mapping[str, tuple[Lower | OrderBy, ...]] = {
    "name": (Lower("name"),),
    "newest": (F("created_at").desc(),),
    "input": (F("input_rate").asc(nulls_last=True),),
    "output": (F("output_rate").asc(nulls_last=True),),
    "context": (F("context_window").desc(),),
}
SORTS = tuple(_SORTS)
_MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for; what is empty does not matter. ``most_input`` is micro-USD per 1M tokens."""

    words: str = ""
    provider: str = ""
    kind: str = ""
    abilities: tuple[str, ...] = ()
    least_context: int = 0
    most_input: int | None = None
    sort: str = SORTS[0]

    def conditions(self) -> dict[str, Q]:
        """Return the condition of each part that matters, by the part's name; of abilities, by ``can:`` and the ability."""
        found: dict[str, Q] = {}
        if self.words:
            found["words"] = _has_words(self.words.split()[:_MOST_WORDS])
        if self.provider:
            found["provider"] = Q(provider=self.provider)
        if self.kind:
            found["kind"] = Q(kind=self.kind)
        for ability in self.abilities:
            found[f"can:{ability}"] = Q(capabilities__contains=[ability])
        if self.least_context:
            found["least_context"] = Q(context_window__gte=self.least_context)
        if self.most_input is not None:
            found["most_input"] = Q(input_rate__lte=self.most_input)
        return found


@dataclass(frozen=True, slots=True)
class Facets:
    """What is on sale, counted: providers as (slug, name, models), the models of each kind and ability, all models."""

    providers: tuple[tuple[str, str, int], ...]
    kinds: Mapping[str, int]
    abilities: Mapping[str, int]
    count: int


def find(search: Search, *, at: datetime) -> QuerySet[CatalogModel]:
    """Return the models on sale that a search finds, in its order; prices are those at a moment."""
    found = _priced(at).filter(*search.conditions().values())
    return found.order_by(*_SORTS[search.sort], "pk")


def found_without(search: Search, *, at: datetime) -> dict[str, int]:
    """Return how many models would be found if one part of the search was dropped, for each part that helps."""
    conditions = search.conditions()
    counts = {
        str(place): Count("pk", filter=_all(q for other, q in conditions.items() if other != part))
        for place, part in enumerate(conditions)
    }
    row = _priced(at).aggregate(**counts)
    return {part: row[str(place)] for place, part in enumerate(conditions) if row[str(place)]}


def providers() -> tuple[tuple[str, str, int], ...]:
    """Return the providers of what is on sale: slug, name, and how many models."""
    by_provider = (
        on_sale().select_related(None).values_list("provider", "provider__name").annotate(Count("pk"))
    )
    return tuple(by_provider.order_by(Lower("provider__name"), "provider"))


def facets() -> Facets:
    """Count what is on sale, in two queries."""
    models = on_sale().select_related(None)
    kinds = {f"kind_{kind}": Count("pk", filter=Q(kind=kind)) for kind in Kind.values}
    abilities = {
        f"can_{each}": Count("pk", filter=Q(capabilities__contains=[each])) for each in Capability.values
    }
    row = models.aggregate(count=Count("pk"), **kinds, **abilities)
    return Facets(
        providers=providers(),
        kinds={kind: row[f"kind_{kind}"] for kind in Kind.values},
        abilities={each: row[f"can_{each}"] for each in Capability.values},
        count=row["count"],
    )


def _priced(at: datetime) -> QuerySet[CatalogModel]:
    price = Price.objects.filter(model=OuterRef("pk")).order_by(*in_force_first(at)).values("pk")[:1]
    base = PriceTier.objects.filter(price=OuterRef("price_now"), above_tokens=0, during="")
    return (
        on_sale()
        .annotate(price_now=Subquery(price))
        .annotate(
            input_rate=NullIf(Subquery(base.values("input")[:1]), 0),
            output_rate=NullIf(Subquery(base.values("output")[:1]), 0),
        )
    )


def _has_words(words: Iterable[str]) -> Q:
    return _all(
        Q(pk__icontains=word)
        | Q(name__icontains=word)
        | Q(provider__name__icontains=word)
        | Q(kind__icontains=word)
        | Q(Exists(ModelAlias.objects.filter(model=OuterRef("pk"), name__icontains=word)))
        for word in words
    )


def _all(conditions: Iterable[Q]) -> Q:
    every = Q()
    for condition in conditions:
        every &= condition
    return every
