"""What a request may say of routing: models to turn to, and which providers may serve it.

All of it is for us: a format takes it off the body that it read, so that no upstream ever sees it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

ModelName = Annotated[str, Meta(min_length=1, max_length=200)]
# Beside the first; each may be asked three times.
Models = Annotated[list[ModelName], Meta(max_length=4)]
Slug = Annotated[str, Meta(min_length=1, max_length=80)]
Slugs = Annotated[list[Slug], Meta(max_length=32)]
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]


class MaxPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The most that a model may cost, in USD per million tokens."""

    prompt: Dollars | None = None
    completion: Dollars | None = None


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose channels may serve a request, and which of them first."""

    order: Slugs | None = None
    only: Slugs | None = None
    ignore: Slugs | None = None
    sort: Literal["price", "latency", "throughput"] | None = None
    max_price: MaxPrice | None = None
    allow_fallbacks: bool | None = None


class Wishes(msgspec.Struct, frozen=True):
    """The models to turn to after the first, in order, and what is wished of providers."""

    models: tuple[str, ...]
    provider: Provider


class Body(Protocol):
    """A body that may hold wishes."""

    models: Models | None
    provider: Provider | None


def take(body: Body) -> Wishes | None:
    """Take the wishes off a body; ``None`` where there are none."""
    if body.models is None and body.provider is None:
        return None
    wishes = Wishes(tuple(body.models or ()), body.provider or Provider())
    body.models = body.provider = None
    return wishes
