"""Models to choose from, on pages: what can be named, and what a chat model can do and costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from catalog.listing import prices_of
from catalog.models import NOT_SOLD, CatalogModel, Kind, Modality, ModelAlias, Price, Trait


@dataclass(frozen=True, slots=True)
class ChatChoice:
    """A chat model; rates are pico-USD per token at a moment, those of its base tier."""

    id: str
    provider: str
    input_picos: int
    output_picos: int
    max_output: int
    reasons: bool
    sees: bool
    takes_sampling: bool


def all_models() -> QuerySet[CatalogModel]:
    """Return what may be named, by provider and id: of each its name and its provider's, which is all a list needs."""
    return (
        CatalogModel.objects.filter(is_listed=True)
        .exclude(life_cycle__in=NOT_SOLD)
        .select_related("provider")
        .only("name", "provider__name")
        .order_by("provider__name", "pk")
    )


def ids_of(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the ids of models that are named by their ids or aliases, and the names that nothing bears."""
    wanted = list(dict.fromkeys(names))
    known = set(CatalogModel.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    aliases = dict(ModelAlias.objects.filter(name__in=wanted).values_list("name", "model"))
    # A model's own id counts before an alias of the same name, as in the gateway.
    found = {name: name if name in known else aliases.get(name) for name in wanted}
    ids = list(dict.fromkeys(each for each in found.values() if each))
    return ids, [name for name, each in found.items() if not each]


def chat_models(*, at: datetime) -> list[ChatChoice]:
    """Return the chat models on sale, by provider and id, in two queries."""
    chat = all_models().filter(kind=Kind.CHAT, pk__in=Price.objects.values("model"))
    prices = prices_of(chat, at=at)
    base = {pk: price.at(at.timestamp()).tiers[0].rates for pk, price in prices.items()}
    return [
        ChatChoice(
            id=pk,
            provider=provider,
            input_picos=base[pk].input,
            output_picos=base[pk].output,
            max_output=max_output,
            reasons="reasoning" in capabilities,
            sees=Modality.IMAGE in modalities,
            takes_sampling=Trait.NO_SAMPLING not in traits,
        )
        for pk, provider, max_output, capabilities, modalities, traits in chat.values_list(
            "pk", "provider__name", "max_output", "capabilities", "input_modalities", "traits"
        )
    ]
