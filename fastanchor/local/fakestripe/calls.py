"""One request as the functions that answer it see it, and what many of them do with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastanchor.local.fakestripe.errors import invalid
from fastanchor.local.fakestripe.world import Obj, World


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked: the ids in the path and the parameters, which are already typed."""

    world: World
    path: dict[str, str]
    params: dict[str, Any]
    version: str = ""

    @property
    def is_endive(self) -> bool:
        """Say whether the caller knows the rules of API version endive."""
        return self.version.endswith(".endive")

    def text(self, name: str) -> str | None:
        """Return a text; one that unsets is none."""
        return self.params.get(name) or None

    def object_in_path(self, kind: str, name: str = "id") -> Obj:
        """Return the object that the path names, unless it was deleted."""
        return self.world.alive(kind, self.path[name], "intent" if name == "intent" else "id")


Handler = Callable[[Call], Obj]


def merged(before: dict[str, str] | None, change: Any) -> dict[str, str]:
    """Return metadata after a change: an empty value takes a key away, an empty text all of them."""
    if change == "":
        return {}
    both = {**(before or {}), **(change or {})}
    return {name: value for name, value in both.items() if value != ""}


def update(call: Call, target: Obj, names: Iterable[str]) -> Obj:
    """Set the named fields that the call gives, and return what they were before."""
    previous: Obj = {}
    for name in names:
        if name not in call.params:
            continue
        fresh = call.params[name] if call.params[name] != "" else None
        if name == "metadata":
            fresh = merged(target["metadata"], call.params["metadata"])
        if target.get(name) != fresh:
            previous[name] = target.get(name)
            target[name] = fresh
    return previous


def address(given: Any) -> Obj | None:
    """Return an address with all its fields."""
    if not given:
        return None
    names = ("city", "country", "line1", "line2", "postal_code", "state")
    return {name: given.get(name) or None for name in names}


def shipping(given: Any) -> Obj | None:
    """Return where goods go, with all its fields."""
    if not given:
        return None
    usual = {name: given.get(name) or None for name in ("carrier", "phone", "tracking_number")}
    return {"address": address(given["address"]), "name": given.get("name"), **usual}


CURRENCIES = ("usd", "aud", "cad", "chf", "eur", "gbp", "jpy", "nzd", "sek", "sgd")
_LARGEST = 99_999_999
_SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "sek": 300}


def currency(given: str) -> str:
    """Return a currency in small letters; raises ``StripeError``."""
    if given.lower() not in CURRENCIES:
        message = (
            f"Invalid currency: {given}. Stripe currently supports these currencies: {', '.join(CURRENCIES)}"
        )
        raise invalid(message, param="currency")
    return given.lower()


def chargeable(amount: int, money: str) -> int:
    """Return an amount that can be charged; raises ``StripeError``."""
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", param="amount", code="parameter_invalid_integer"
        )
    if amount > _LARGEST:
        message = f"Amount must be no more than {amount_words(_LARGEST, money)}"
        raise invalid(message, param="amount", code="amount_too_large")
    if amount < _SMALLEST.get(money, 50):
        message = f"Amount must be at least {amount_words(_SMALLEST.get(money, 50), money)}"
        raise invalid(message, param="amount", code="amount_too_small")
    return amount


def amount_words(amount: int, money: str) -> str:
    """Return an amount as Stripe writes it in sentences, such as ``$0.50 usd``."""
    sign = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}.get(money, "")
    written = f"{amount:,}" if money == "jpy" else f"{amount // 100:,}.{amount % 100:02d}"
    return f"{sign}{written} {money}"
