"""What tests and developers may order, under ``/_control/``; only callers on this machine are heard.

==================================  =====================================================================
``POST webhooks``                   ``delivery.Knobs``: lose, double, shuffle, delay, hold back
``POST faults``                     ``{"faults": [faults.Fault, …], "seed": 0}``; an empty list ends the bad day
``GET deliveries``                  what was sent where and how it was taken
``POST settle``                     wait until no delivery waits (``within_s``)
``POST disputes``                   open one: ``charge`` or ``payment_intent``, ``kind`` (``inquiry`` moves no money)
``POST disputes/ID``                ``{"status": "under_review" | "won" | "lost" | "warning_closed" | "escalated"}``
``POST refunds/ID``                 ``{"status": "failed" | "succeeded"}``
``POST payments/ID``                ``{"status": "succeeded" | "failed"}`` for a payment that is under way
``POST payouts``                    pay out all that is available, as the account's schedule would
``POST payouts/ID``                 ``{"status": "in_transit" | "paid" | "failed"}``
``POST movements``                  one that no object stands behind: ``type``, ``amount``, ``fee``, ``currency``
``POST cards/ID``                   ``{"number": "4000…"}``: from now on a saved card behaves as that test card
``DELETE customers/ID``             as if somebody had deleted it on Stripe's dashboard
``POST clock``                      ``{"advance_s": 3600}``
``POST reset``                      forget everything
==================================  =====================================================================
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import msgspec

from fastanchor.local.fakestripe import balance, cards, customers, disputes, payouts, refunds, timers
from fastanchor.local.fakestripe.delivery import Knobs, Post
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.faults import Faults, Weather
from fastanchor.local.fakestripe.world import Obj, World

PATH = "/_control/"
_PATIENCE_S = 10.0


class Refused(Exception):
    """An order that makes no sense."""


def is_from_here(client: Any, host: str) -> bool:
    """Say whether a request came over the loopback, and not by a page that only borrowed its name."""
    try:
        return bool(client) and ipaddress.ip_address(client[0]).is_loopback and _is_own_name(host)
    except ValueError:
        return False


def _is_own_name(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name in {"localhost", "[::1]"} or ipaddress.ip_address(name).is_loopback


class Control:
    """Carries out orders."""

    def __init__(self, world: World, post: Post, weather: Weather) -> None:
        self._world = world
        self._post = post
        self._weather = weather

    async def answer(self, method: str, path: str, body: bytes) -> Any:
        """Carry out an order and return what it tells; raises ``Refused``."""
        order, _, target = path.removeprefix(PATH).partition("/")
        try:
            return await self._obey(method, order, target, body)
        except (msgspec.DecodeError, StripeError) as exc:
            raise Refused(str(exc)) from exc

    async def _obey(self, method: str, order: str, target: str, body: bytes) -> Any:
        told: Any = {}
        match method, order:
            case "GET", "deliveries":
                return self._post.facts()
            case "POST", "webhooks":
                self._post.change(msgspec.json.decode(body, type=Knobs))
            case "POST", "faults":
                self._weather.change(msgspec.json.decode(body, type=Faults))
            case "POST", "settle":
                told = {"settled": await self._post.settle(_told(body).get("within_s", _PATIENCE_S))}
            case "POST", "reset":
                self._reset()
            case _:
                told = self._change(method, order, target, _told(body))
        return told or {"ok": True}

    def _reset(self) -> None:
        self._world.reset()
        self._post.reset()
        self._weather.change(Faults())

    def _change(self, method: str, order: str, target: str, told: Any) -> Obj:
        world = self._world
        # What is ordered here happens by itself there: no request of the API is behind it.
        world.request_id = world.idempotency_key = None
        match method, order:
            case "POST", "disputes":
                return self._decide(target, told) if target else self._dispute(told)
            case "POST", "refunds" | "payments" | "payouts" if target:
                return _changed(_FATES[order, told["status"]](world, target))
            case "POST", "payouts" | "movements":
                return payouts.pay_out_all(world) if order == "payouts" else _move(world, told)
            case "POST", "cards":
                card = world.get("payment_method", target)
                world.hidden(card["id"])["number"] = cards.by_number(told["number"]).number
                return card
            case "DELETE", "customers":
                return customers.remove(world, world.alive("customer", target, "id"))
            case "POST", "clock":
                world.move_clock(told["advance_s"])
                timers.run(world)
                return {"now": world.now()}
            case _:
                message = f"There is no order {method} {order}."
                raise Refused(message)

    def _dispute(self, told: Any) -> Obj:
        world = self._world
        charge_id = told.get("charge")
        if charge_id is None:
            charge_id = world.get("payment_intent", told["payment_intent"])["latest_charge"]
        charge = world.get("charge", charge_id)
        return disputes.open_one(
            world, charge, kind=told.get("kind", "fraudulent"), amount=told.get("amount")
        )

    def _decide(self, dispute_id: str, told: Any) -> Obj:
        dispute = self._world.get("dispute", dispute_id)
        if told["status"] == "escalated":
            return _changed(disputes.escalate(self._world, dispute))
        return _changed(disputes.decide(self._world, dispute, told["status"]))


_FATES: dict[tuple[str, str], Callable[[World, str], bool]] = {
    ("refunds", "failed"): lambda world, target: refunds.fail(world, world.get("refund", target)),
    ("refunds", "succeeded"): lambda world, target: refunds.succeed(world, world.get("refund", target)),
    ("payments", "succeeded"): timers.settle_payment,
    ("payments", "failed"): timers.fail_payment,
    ("payouts", "in_transit"): payouts.send,
    ("payouts", "paid"): payouts.arrive,
    ("payouts", "failed"): payouts.fail,
}


def _move(world: World, told: Any) -> Obj:
    return balance.happen(
        world,
        kind=told["type"],
        amount=told["amount"],
        fee=told.get("fee", 0),
        money=told.get("currency", "usd"),
    )


def _told(body: bytes) -> Any:
    return msgspec.json.decode(body) if body else {}


def _changed(has_changed: bool) -> Obj:  # noqa: FBT001 - it is the whole answer
    return {"changed": has_changed}
