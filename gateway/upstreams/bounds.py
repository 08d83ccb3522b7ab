"""How far an upstream that keeps the bound it is told may go beyond it, so that the hold covers that, too."""

from __future__ import annotations

from catalog.snapshot import Model, Route
from gateway.upstreams.compatible import dialect_of
from gateway.upstreams.openai_responses_request import LEAST_OUTPUT


def most_written(bound: int, model: Model, routes: tuple[Route, ...], format_name: str) -> int:
    """Return the most tokens of one choice whose upstream is told ``bound``."""
    if bound >= LEAST_OUTPUT and "reasoning" not in model.capabilities:
        return bound
    if bound < LEAST_OUTPUT and any(_speaks_responses(route, model, format_name) for route in routes):
        bound = LEAST_OUTPUT
    return bound * thoughts_apart(model, routes)


def thoughts_apart(model: Model, routes: tuple[Route, ...]) -> int:
    """Return how many bounds an answer has: two where its thoughts are bounded apart."""
    if "reasoning" not in model.capabilities:
        return 1
    return 2 if any(dialect_of(route.channel).bounds_thoughts_apart for route in routes) else 1


def _speaks_responses(route: Route, model: Model, format_name: str) -> bool:
    # Clients of chat and of Responses are passed on, and what is refused there costs nothing.
    is_alone = "responses_only" in model.traits
    if route.channel.adapter == "azure":
        return is_alone and format_name != "responses"
    return route.channel.adapter == "openai_responses" and (
        is_alone or format_name not in {"chat", "responses"}
    )
