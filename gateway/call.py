"""What travels between the stages: the request as it came, and the call that it became."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from accounts.keyring import Caller
from billing.attempts import AttemptMade, Considered
from billing.holds import Hold
from catalog.pricing import Usage
from catalog.snapshot import Channel, Model, OwnKey, Price, Route
from fastanchor.lib.ids import new_id
from gateway.asked import Asked, Attempt
from gateway.formats.base import Format
from gateway.limits import Lack, Seat
from gateway.upstreams.http import Exchange


class Source(NamedTuple):
    """Where a request came from: who is connected, and all header lines, among which a proxy may say more."""

    peer: str
    lines: Iterable[tuple[bytes, bytes]]

    @property
    def forwarded(self) -> str:
        """Return what ``X-Forwarded-For`` says, its lines in order."""
        values = [value for name, value in self.lines if name.lower() == b"x-forwarded-for"]
        return b",".join(values).decode("latin-1")


NOWHERE = Source("", ())


class Request(msgspec.Struct, frozen=True):
    """A request as a server handed it over: lower-case header names, whole body."""

    headers: Mapping[str, str]
    body: bytes
    format: Format
    source: Source = NOWHERE
    id: str = msgspec.field(default_factory=lambda: new_id("req"))
    started_at_ms: int = msgspec.field(default_factory=lambda: time.time_ns() // 1_000_000)
    started: float = msgspec.field(default_factory=time.monotonic)


class Estimate(msgspec.Struct, frozen=True):
    """Input tokens of a prompt: ``fair`` for limits and for bills without a report, ``most`` for holds.

    ``audio`` is the part of the fair estimate that is sound.
    """

    fair: int
    most: int
    audio: int = 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How an answer is to be kept: after which items, and whether its caller waits for it."""

    input: list[msgspec.Raw]
    is_background: bool = False


class Option(msgspec.Struct, frozen=True):
    """A model that may serve a request: its price, its channels in order, and what the prompt comes to for it."""

    model: Model
    price: Price
    candidates: tuple[Route, ...]
    estimate: Estimate
    own: OwnKey | None = None


@dataclass(slots=True)
class Call:
    """An admitted request on its way; each stage adds what it decided."""

    request: Request
    caller: Caller
    asked: Asked
    model: Model
    price: Price
    candidates: tuple[Route, ...]
    estimate: Estimate
    # The caller's own key of the model's provider, if there is one.
    own: OwnKey | None = None
    # Further models, in the order in which they are turned to.
    fallbacks: tuple[Option, ...] = ()
    # No way to an earlier model served; so many of the attempts were made there.
    has_turned: bool = False
    attempts_elsewhere: int = 0
    # A channel that is not the caller's own was asked for this model, and failed.
    has_failed_at_ours: bool = False
    # When the latest attempt began (monotonic).
    asked_at: float = 0.0
    # ``None`` where the answer is not kept for later requests.
    keeping: Keeping | None = None
    hold: Hold | None = None
    # The bound that the gateway set on output, when the caller named none.
    output_bound: int | None = None
    attempts: int = 0
    # Those that failed, and after them the one that serves; empty where the model's own provider serves at once.
    attempts_made: tuple[AttemptMade, ...] = ()
    channel: Channel | None = None
    # That channel is the caller's own: its provider is paid by the caller.
    is_own: bool = False
    # Its place at the channel that is asked now, where that has limits.
    seat: Seat | None = None
    # The channels that were passed over because of a limit of ours.
    lacks: dict[str, Lack] = field(default_factory=dict)
    # What there was to choose from when first a channel failed or was passed over; empty where the first one served.
    considered: tuple[Considered, ...] = ()
    # What the channel that serves could not be told, by the form's names.
    dropped: tuple[str, ...] = ()
    exchange: Exchange | None = None
    # No upstream is read beyond this moment (monotonic); a caller who leaves brings it near.
    ends_at: float = 0.0
    first_token_at: float = 0.0

    @property
    def models(self) -> list[Model]:
        """Return the model that is to serve, and those that may be turned to."""
        return [self.model, *(option.model for option in self.fallbacks)]

    def at(self, option: Option) -> Call:
        """Return the call as another model would serve it."""
        return replace(
            self,
            model=option.model,
            price=option.price,
            candidates=option.candidates,
            estimate=option.estimate,
            own=option.own,
        )

    def turn(self) -> None:
        """Go on with the next model."""
        option, *rest = self.fallbacks
        self.model, self.price = option.model, option.price
        self.candidates, self.estimate, self.own = option.candidates, option.estimate, option.own
        self.fallbacks, self.has_turned, self.lacks = tuple(rest), True, {}
        self.attempts_elsewhere, self.channel, self.exchange = self.attempts, None, None
        self.is_own = self.has_failed_at_ours = False

    def hurry(self, seconds: float) -> None:
        """Read the upstream for at most ``seconds`` more."""
        self.ends_at = min(self.ends_at, time.monotonic() + seconds)
        if self.exchange is not None:
            self.exchange.deadline = min(self.exchange.deadline, self.ends_at)

    def note_attempt(self, route: Route, *, started: float, error_code: str) -> None:
        """Write down what came of an attempt that started at a (monotonic) moment."""
        channel, status = route.channel, self.exchange.status if self.exchange is not None else 0
        elapsed_ms = round((time.monotonic() - started) * 1_000)
        model_id = self.model.id if self.has_turned or self.fallbacks else ""
        made = AttemptMade(channel.provider, channel.id, status, error_code, elapsed_ms, model_id)
        self.attempts_made += (made,)

    @property
    def reasons(self) -> bool:
        """Tell whether the model may think before it answers, possibly unseen."""
        return "reasoning" in self.model.capabilities

    @property
    def needs_no_credit(self) -> bool:
        """Tell whether nothing but the caller's own key may serve it."""
        return self.own is not None and self.own.is_only

    @property
    def is_stream(self) -> bool:
        """Tell whether the caller asked for a stream."""
        return self.asked.is_stream

    def attempt(self, route: Route) -> Attempt:
        """Return the particulars of an upstream call through a route."""
        return Attempt(
            asked=self.asked,
            model=self.model,
            route=route,
            request_id=self.request.id,
            headers=self.request.headers,
            price=self.price,
            # Credit bounds nothing that it does not pay.
            output_bound=None if route.channel.is_own else self.output_bound,
        )


class Outcome(msgspec.Struct, frozen=True):
    """How a call ended, for the usage record: the class, the HTTP status sent, and what is billed."""

    name: str
    status: int
    usage: Usage
    is_estimated: bool = False
    is_free: bool = False
    finish_reason: str = ""
    error_code: str = ""
    upstream_id: str = ""
