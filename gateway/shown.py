"""A model as ``/v1/models`` shows it: one object that the SDKs of OpenAI and of Anthropic both take for their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from catalog.snapshot import Model, Price, Rates, Tier
from gateway.errors import InvalidRequest

# Priced by the piece; all other rates are for a million tokens.
_PIECES = ("image", "search", "character", "second")
_MICRO_USD, _PICO_USD = 6, 12
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


class Page(NamedTuple):
    """A part of a list, and whether there is more in the direction in which it is read."""

    items: Sequence[Model]
    has_more: bool


def page_of(models: Sequence[Model], *, limit: int | None, after_id: str, before_id: str) -> Page:
    """Cut a list as Anthropic's paging parameters ask; raises ``InvalidRequest`` for an unknown cursor."""
    if after_id and before_id:
        raise InvalidRequest("Send 'after_id' or 'before_id', not both.", param="before_id")
    count = len(models) if limit is None else limit
    if before_id:
        before = models[: _place(models, before_id, "before_id")]
        return Page(before[max(0, len(before) - count) :], len(before) > count)
    start = _place(models, after_id, "after_id") + 1 if after_id else 0
    return Page(models[start : start + count], len(models) > start + count)


def _place(models: Sequence[Model], model_id: str, param: str) -> int:
    for place, model in enumerate(models):
        if model.id == model_id:
            return place
    raise InvalidRequest(f"'{param}' names no model of this list.", param=param)


def shown(model: Model, *, at: float, for_anthropic: bool) -> dict[str, Any]:
    """Write a model with the price in force; Anthropic's SDKs expect capabilities in an object of their own."""
    abilities = _anthropic_capabilities(model) if for_anthropic else sorted(model.capabilities)
    return {
        "id": model.id,
        "object": "model",
        "type": "model",
        "created": model.created,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "owned_by": model.provider,
        "name": model.name,
        "display_name": model.name,
        "kind": model.kind,
        "lifecycle": model.life_cycle,
        # Pictures and sound have none, or nobody tells.
        "context_window": model.context_window or None,
        "max_input_tokens": model.context_window or None,
        "max_output_tokens": model.max_output or None,
        "max_tokens": model.max_output or None,
        "capabilities": abilities,
        "input_modalities": list(model.input_modalities),
        "output_modalities": list(model.output_modalities),
        "price": _price(model, at),
    }


def _price(model: Model, at: float) -> dict[str, Any]:
    now = model.price_at(at)
    dated = next(price for price in model.prices if price.id == now.id)
    return {
        "id": now.id,
        "currency": "USD",
        **_rates(now.tiers[0].rates),
        "tiers": [_tier(tier) for tier in now.tiers[1:]],
        "windows": _windows(dated),
    }


def _windows(price: Price) -> list[dict[str, Any]]:
    """Write the rates of every hour of the week, where they differ."""
    if not price.windows:
        return []
    parts = [("", price.tiers), *((window.during, window.price.tiers) for window in price.windows)]
    return [
        {
            "during": during or "otherwise",
            **_rates(tiers[0].rates),
            "tiers": [_tier(tier) for tier in tiers[1:]],
        }
        for during, tiers in parts
    ]


def _tier(tier: Tier) -> dict[str, Any]:
    return {"above_input_tokens": tier.above_tokens, **_rates(tier.rates)}


def _rates(rates: Rates) -> dict[str, str]:
    known: Mapping[str, int | None] = dataclasses.asdict(rates)
    return {
        name: _dollars(rate, _PICO_USD if name in _PIECES else _MICRO_USD)
        for name, rate in known.items()
        if rate is not None
    }


def _dollars(amount: int, places: int) -> str:
    """Write an amount with all the places it needs, and at least two."""
    dollars, rest = divmod(amount, 10**places)
    return f"{dollars}.{f'{rest:0{places}d}'.rstrip('0').ljust(2, '0')}"


def _anthropic_capabilities(model: Model) -> dict[str, Any]:
    can, reads, traits = model.capabilities, model.input_modalities, model.traits
    thinks, is_adaptive = "reasoning" in can, "adaptive_thinking" in traits
    return {
        "batch": _support(is_there=False),
        "citations": _support(is_there=False),
        "code_execution": _support(is_there=False),
        "context_management": _support(is_there=False),
        "effort": _support(is_there=thinks) | {each: _support(is_there=thinks) for each in _EFFORTS},
        "image_input": _support(is_there="image" in reads),
        "pdf_input": _support(is_there="file" in reads),
        "server_tools": _support(is_there="web_search" in can)
        | {
            "web_search": _support(is_there="web_search" in can),
            "code_execution": _support(is_there=False),
        },
        "structured_outputs": _support(is_there="json_schema" in can),
        "thinking": _support(is_there=thinks)
        | {
            "types": {
                "adaptive": _support(is_there=thinks),
                "between_tools": _support(is_there=False),
                "disabled": _support(is_there="always_reasons" not in traits),
                "enabled": _support(is_there=thinks and not is_adaptive),
            }
        },
    }


def _support(*, is_there: bool) -> dict[str, Any]:
    return {"supported": is_there}
