"""The catalog in memory: immutable, swapped whole, read by the gateway.

This is a door: it knows neither the ORM nor Django. What it holds is loaded by a function passed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from catalog.windows import minute_of_week


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices in micro-USD per 1M tokens or other units, which is pico-USD per token or unit.

    A kind of token without a rate (``None``) costs what the kind costs that it belongs to; a unit without one is not
    sold by this model.
    """

    input: int
    cached_input: int
    cache_write: int
    output: int
    # As cache_write, input, cached_input, output and input, where there is none.
    cache_write_1h: int | None = None
    audio_input: int | None = None
    cached_audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    # Per picture made, web search done, character spoken, second heard.
    image: int | None = None
    search: int | None = None
    character: int | None = None
    second: int | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of requests whose input exceeds ``above_tokens``; the base tier has 0.

    ``during`` names the hours of the week in which the rates hold (``catalog.windows``); empty where they always do.
    """

    above_tokens: int
    rates: Rates
    during: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the week, as spans of its minutes, and the price that is in force then."""

    during: str
    spans: tuple[tuple[int, int], ...]
    price: Price


@dataclass(frozen=True, slots=True)
class Price:
    """One dated set of rates; tiers ascend and the first is the base tier.

    What a request costs is that of ``at`` the moment it started: a window's price has the same id and other tiers.
    """

    id: str
    # Unix time, so exact that no request which started before pays it.
    valid_from_ms: int
    tiers: tuple[Tier, ...]
    windows: tuple[Window, ...] = ()

    def __hash__(self) -> int:
        """Return what tells prices apart in caches: the gateway looks one up for every request."""
        return hash(self.id)

    def at(self, unix_seconds: float) -> Price:
        """Return the rates of this price at a moment: those of the window that is open, or the usual ones."""
        if not self.windows:
            return self
        minute = minute_of_week(unix_seconds)
        for window in self.windows:
            if any(first <= minute < end for first, end in window.spans):
                return window.price
        return self


@dataclass(frozen=True, slots=True)
class Channel:
    """A provider endpoint with one of its credentials; the lowest ``priority`` is tried first."""

    id: str
    name: str
    provider: str
    adapter: str
    base_url: str
    api_key: str = field(repr=False)
    weight: int
    priority: int
    allow_private: bool
    # Which credential ``api_key`` is, and which state of it: another secret or a return into service is another state.
    credential: str = ""
    # What the upstream allows us in all processes together; 0 where there is no limit.
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0
    # The one organization that may use it; empty where all may.
    dedicated_to: str = ""
    # The credential is that organization's own, and its provider is paid by it, not by us.
    is_own: bool = False

    @property
    def is_limited(self) -> bool:
        """Tell whether it has any limit of its own."""
        return bool(self.concurrency or self.requests_per_minute or self.tokens_per_minute)


@dataclass(frozen=True, slots=True)
class Route:
    """A channel that serves a model under the upstream's own name for it."""

    channel: Channel
    upstream_model: str
    # The same with each of the channel's other credentials.
    twins: tuple[Route, ...] = ()

    @property
    def is_special(self) -> bool:
        """Tell whether there is anything to decide before it is used: a credential, or a limit."""
        return bool(self.twins) or self.channel.is_limited


@dataclass(frozen=True, slots=True)
class Model:
    """What a caller may name; prices are newest first, routes are in the order of their priority."""

    id: str
    provider: str
    name: str
    context_window: int
    max_output: int
    capabilities: frozenset[str]
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    created: int
    prices: tuple[Price, ...]
    routes: tuple[Route, ...]
    # chat, embedding, image, speech, transcription or moderation
    kind: str = "chat"
    # What an adapter must know of a model and a caller need not; see ``catalog.models.Trait``.
    traits: frozenset[str] = frozenset()
    # active or deprecated; what is retired is not sold.
    life_cycle: str = "active"
    # What its own provider calls it.
    upstream_name: str = ""

    def price_at(self, unix_seconds: float) -> Price:
        """Return the price in force at a moment; the first price also covers all time before it."""
        at_ms = round(unix_seconds * 1_000)
        for price in self.prices:
            if price.valid_from_ms <= at_ms:
                return price.at(unix_seconds)
        return self.prices[-1].at(unix_seconds)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A customer's own key of a provider: ``channel`` leads there, unless ``trouble`` says what is the matter.

    With ``is_only`` no other channel may serve its organization with models of that provider.
    """

    provider_name: str
    is_only: bool
    channel: Channel | None
    trouble: str = ""

    def routes(self, model: Model) -> tuple[Route, ...]:
        """Return the way to a model of the provider, if there is one."""
        return () if self.channel is None else (Route(self.channel, model.upstream_name or model.id),)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the gateway knows of the catalog; ``version`` is the unix time in ms at which it was read."""

    version: int
    models: Mapping[str, Model]
    listed: tuple[Model, ...]
    # Those without any channel, too, for whoever names one.
    providers: frozenset[str] = frozenset()
    # By organization and provider; they stand apart from the routes of models, so that nobody else can meet them.
    own: Mapping[str, Mapping[str, OwnKey]] = field(default_factory=dict)


class CatalogUnavailable(Exception):
    """The catalog was not loaded yet."""


class Catalog:
    """Holds the current snapshot of one process."""

    def __init__(self, load: Callable[[], Awaitable[Snapshot]]) -> None:
        self._load = load
        self._current: Snapshot | None = None
        self._refreshing = asyncio.Lock()

    @property
    def current(self) -> Snapshot:
        """Return the newest snapshot; raises ``CatalogUnavailable`` before the first one."""
        if self._current is None:
            raise CatalogUnavailable
        return self._current

    async def refresh(self) -> None:
        """Load and swap; when loading fails the error is passed on and the last snapshot stays."""
        # One after the other, so that an older reading never replaces a newer one.
        async with self._refreshing:
            self._current = await self._load()
