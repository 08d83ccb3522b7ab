"""What becomes of the models and channels of a request whose caller has wishes: some go, the others change places.

A wish that can never come true is the caller's mistake; one that cannot now is for the dispatch to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from catalog.snapshot import Route, Snapshot
from fastanchor.lib.money import exact_picos
from gateway.call import Option
from gateway.errors import InvalidRequest
from gateway.speeds import Speeds
from gateway.wishes import MaxPrice, Provider

_PARAM = "provider"
_MICROS_PER_USD = 1_000_000
# Prices are told for so many.
_TOKENS = 1_000_000
# It plays the provider of each model.
_SANDBOX = "sandbox"
_LISTS = ("order", "only", "ignore")
# What channels are sorted by, the least first.
Slowness = Callable[[Option, Route], float]


def preferred(
    options: Sequence[Option], wishes: Provider, *, snapshot: Snapshot, speeds: Speeds, is_stream: bool
) -> list[Option]:
    """Return the models in the order in which they are asked, each with the channels that may serve it.

    Raises ``InvalidRequest`` where none is left. A model that is named twice counts once.
    """
    named = list({option.model.id: option for option in options}.values())
    _refuse_unknown(snapshot, wishes)
    affordable = named if wishes.max_price is None else _within(wishes.max_price, named)
    if wishes.sort == "price":
        affordable = sorted(affordable, key=lambda option: sum(_rates(option)))
    slowness = _slowness(speeds, wishes, is_stream=is_stream)
    reached = [each for option in affordable if (each := _reached(option, wishes, slowness))]
    if not reached:
        raise _nobody(affordable[0])
    return reached


def _slugs(named: Iterable[str] | None) -> list[str]:
    return [slug.lower() for slug in named or ()]


def _refuse_unknown(snapshot: Snapshot, wishes: Provider) -> None:
    for name in _LISTS:
        for slug in _slugs(getattr(wishes, name)):
            if slug not in snapshot.providers:
                raise InvalidRequest(
                    f"The provider '{slug}' in '{_PARAM}.{name}' does not exist here. "
                    "GET /v1/models names a model's provider as 'owned_by'.",
                    param=_PARAM,
                )


def _rates(option: Option) -> tuple[int, int]:
    """Return the highest rates of input and output at which the prompt may be billed, in micro-USD per million."""
    rates = [tier.rates for tier in option.price.tiers if tier.above_tokens < option.estimate.most]
    return max(rate.input for rate in rates), max(rate.output for rate in rates)


def _within(most: MaxPrice, options: list[Option]) -> list[Option]:
    complaints = [_too_dear(option, most) for option in options]
    if all(complaints):
        raise InvalidRequest(f"{complaints[0]} Raise it, or name another model.", param=_PARAM)
    return [option for option, complaint in zip(options, complaints, strict=True) if not complaint]


def _too_dear(option: Option, most: MaxPrice) -> str:
    """Return what is wrong with a model's price, if anything."""
    bounds = (("prompt", most.prompt), ("completion", most.completion))
    for rate, (name, dollars) in zip(_rates(option), bounds, strict=True):
        bound = rate if dollars is None else round(dollars * _MICROS_PER_USD)
        if rate > bound:
            return (
                f"The model '{option.model.id}' costs ${exact_picos(rate * _TOKENS)} per million {name} tokens, "
                f"more than the ${exact_picos(bound * _TOKENS)} of '{_PARAM}.max_price.{name}'."
            )
    return ""


def _slowness(speeds: Speeds, wishes: Provider, *, is_stream: bool) -> Slowness | None:
    """Return what channels are sorted by; those that nothing is known of come last."""
    if wishes.sort not in {"latency", "throughput"}:
        return None
    is_latency = wishes.sort == "latency"
    measure = speeds.latency if is_latency else speeds.throughput

    def slowness(option: Option, route: Route) -> float:
        measured = measure(route.channel.id, option.model.id, is_stream=is_stream)
        if measured is None:
            return float("inf")
        return measured if is_latency else -measured

    return slowness


def _reached(option: Option, wishes: Provider, slowness: Slowness | None) -> Option | None:
    """Return a model with the channels that may serve it, in order; ``None`` where none ever can."""
    routes = list(option.candidates)
    if slowness is not None:
        routes.sort(key=lambda route: slowness(option, route))
    order = _slugs(wishes.order)
    if order:
        routes.sort(key=lambda route: _rank(order, _whose(route, option)))
    # What the caller need not pay us for comes first, whatever is fast.
    routes.sort(key=lambda route: not route.channel.is_own)
    may_serve = _judge(wishes, [_whose(route, option) for route in routes])
    kept = tuple(route for route in routes if may_serve(_whose(route, option)))
    # Its own provider may serve it again soon, and where no channel is there at all the wishes are not to blame.
    if kept or not routes or may_serve(option.model.provider):
        return msgspec.structs.replace(option, candidates=kept)
    return None


def _whose(route: Route, option: Option) -> str:
    provider = route.channel.provider
    return option.model.provider if provider == _SANDBOX else provider


def _rank(order: list[str], slug: str) -> int:
    return order.index(slug) if slug in order else len(order)


def _judge(wishes: Provider, serving: list[str]) -> Callable[[str], bool]:
    """Return what tells whether a provider may serve; ``serving`` are those that could, in the wished order."""
    order, only, ignore = (_slugs(getattr(wishes, name)) for name in _LISTS)

    def is_wished(slug: str) -> bool:
        return (not only or slug in only) and slug not in ignore

    if wishes.allow_fallbacks is not False:
        return is_wished
    allowed = order or list(filter(is_wished, serving))[:1]
    return lambda slug: is_wished(slug) and (not allowed or slug in allowed)


def _nobody(option: Option) -> InvalidRequest:
    serving = dict.fromkeys(_whose(route, option) for route in option.candidates)
    return InvalidRequest(
        f"'{_PARAM}' leaves nobody to serve the model '{option.model.id}'. These do: {', '.join(serving)}.",
        param=_PARAM,
    )
