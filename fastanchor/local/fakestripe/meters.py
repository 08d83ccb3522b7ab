"""Billing meters: usage told by events, counted once each, summed up by the day or the hour."""

from __future__ import annotations

import re
from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe.calls import Call, update
from fastanchor.local.fakestripe.errors import StripeError, invalid, no_such
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400
_OLDEST = 35 * _DAY
_NEWEST = 300
_VALUE = re.compile(r"-?\d+(\.\d+)?")
_MOST_DIGITS = 15


def create(call: Call) -> Obj:
    """Answer ``POST /v1/billing/meters``."""
    params, world = call.params, call.world
    if any(each["event_name"] == params["event_name"] for each in _active(world)):
        message = f"An active meter with event_name '{params['event_name']}' already exists."
        raise StripeError(message, param="event_name", code="resource_already_exists")
    mapping: Any = params.get("customer_mapping") or {}
    settings: Any = params.get("value_settings") or {}
    meter = world.add(
        "billing.meter",
        customer_mapping={
            "event_payload_key": mapping.get("event_payload_key", "stripe_customer_id"),
            "type": "by_id",
        },
        default_aggregation={"formula": params["default_aggregation"]["formula"]},
        display_name=params["display_name"],
        event_name=params["event_name"],
        event_time_window=params.get("event_time_window"),
        status="active",
        status_transitions={"deactivated_at": None},
        updated=world.now(),
        value_settings={"event_payload_key": settings.get("event_payload_key", "value")},
    )
    world.emit("billing.meter.created", meter)
    return meter


def _active(world: World) -> list[Obj]:
    return [each for each in world.newest_first("billing.meter") if each["status"] == "active"]


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/billing/meters/{id}``."""
    return call.object_in_path("billing.meter")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/billing/meters/{id}``."""
    meter = retrieve(call)
    previous = update(call, meter, ("display_name",))
    meter["updated"] = call.world.now()
    call.world.emit("billing.meter.updated", meter, previous)
    return meter


def deactivate(call: Call) -> Obj:
    """Answer ``POST /v1/billing/meters/{id}/deactivate``."""
    return _switch(call, "inactive", call.world.now())


def reactivate(call: Call) -> Obj:
    """Answer ``POST /v1/billing/meters/{id}/reactivate``."""
    return _switch(call, "active", None)


def _switch(call: Call, status: str, moment: int | None) -> Obj:
    meter = retrieve(call)
    meter["status"], meter["updated"] = status, call.world.now()
    meter["status_transitions"] = {"deactivated_at": moment}
    verb = "deactivated" if status == "inactive" else "reactivated"
    call.world.emit(f"billing.meter.{verb}", meter)
    return meter


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/billing/meters``."""
    return page(call, where(call, call.world.newest_first("billing.meter"), "status"), "/v1/billing/meters")


def record(call: Call) -> Obj:
    """Answer ``POST /v1/billing/meter_events``."""
    world, params = call.world, call.params
    payload = params["payload"]
    meter = next((each for each in _active(world) if each["event_name"] == params["event_name"]), None)
    if meter is None:
        message = f"No active meter found for event_name '{params['event_name']}'."
        raise StripeError(message, param="event_name", code="resource_missing")
    value = _value(meter, payload)
    moment = params.get("timestamp", world.now())
    _require_recent(world, moment)
    identifier = params.get("identifier") or random_base62(32)
    _require_unseen(world, identifier)
    customer = _customer(meter, payload)
    event: Obj = {
        "object": "billing.meter_event",
        "created": world.now(),
        "event_name": params["event_name"],
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": moment,
    }
    # A customer that nobody knows is told of later, by an event that only API v2 carries.
    counted = {**event, "id": identifier, "customer": customer, "value": value, "meter": meter["id"]}
    world.table("billing.meter_event")[f"{identifier}:{world.now()}"] = counted
    return event


def _value(meter: Obj, payload: Any) -> str:
    key = meter["value_settings"]["event_payload_key"]
    written = str(payload.get(key, ""))
    if meter["default_aggregation"]["formula"] == "count" and not written:
        return "1"
    if not _VALUE.fullmatch(written):
        message = f"The payload's '{key}' must be a number, not '{written}'."
        raise invalid(message, param=f"payload[{key}]", code="billing_meter_event_invalid_value")
    if len(re.sub(r"[-.]", "", written).lstrip("0")) > _MOST_DIGITS:
        message = f"The payload's '{key}' has more than {_MOST_DIGITS} significant digits."
        raise invalid(message, param=f"payload[{key}]", code="billing_meter_event_invalid_value")
    return written


def _customer(meter: Obj, payload: Any) -> str:
    key = meter["customer_mapping"]["event_payload_key"]
    if not payload.get(key):
        message = f"The payload lacks '{key}', which names the customer."
        raise invalid(message, param=f"payload[{key}]", code="parameter_missing")
    return str(payload[key])


def _require_recent(world: World, moment: int) -> None:
    if moment < world.now() - _OLDEST:
        message = "The timestamp must be within the past 35 calendar days."
        raise invalid(message, param="timestamp", code="timestamp_too_far_in_past")
    if moment > world.now() + _NEWEST:
        message = "The timestamp must not be more than 5 minutes in the future."
        raise invalid(message, param="timestamp", code="timestamp_in_future")


def _require_unseen(world: World, identifier: str) -> None:
    since = world.now() - _DAY
    if any(
        each["identifier"] == identifier and each["created"] > since
        for each in world.table("billing.meter_event").values()
    ):
        message = f"An event already exists with identifier {identifier}."
        raise invalid(message, param="identifier", code="duplicate_meter_event")


def adjust(call: Call) -> Obj:
    """Answer ``POST /v1/billing/meter_event_adjustments``: cancel an event of the last 24 hours."""
    world, params = call.world, call.params
    identifier = (params.get("cancel") or {}).get("identifier", "")
    table, since = world.table("billing.meter_event"), world.now() - _DAY
    found = [
        key for key, each in table.items() if each["identifier"] == identifier and each["created"] > since
    ]
    if not found:
        raise no_such("meter event", identifier, "cancel[identifier]")
    for key in found:
        del table[key]
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": params["event_name"],
        "livemode": False,
        "status": "complete",
        "type": "cancel",
    }


def summarize(call: Call) -> Obj:
    """Answer ``GET /v1/billing/meters/{id}/event_summaries``: one in all, or one for each hour or day."""
    meter, params = retrieve(call), call.params
    start, end = params["start_time"], params["end_time"]
    if start % 60 or end % 60 or start >= end:
        raise invalid("`start_time` and `end_time` must be whole minutes in order.", param="start_time")
    step = {"hour": 3_600, "day": _DAY}.get(params.get("value_grouping_window", ""), end - start)
    rows = []
    for begin in range(start, end, step):
        values = _values(call.world, meter, params["customer"], begin, min(begin + step, end))
        if values:
            rows.append(_summary(meter, values, begin, min(begin + step, end)))
    return page(call, reversed(rows), f"/v1/billing/meters/{meter['id']}/event_summaries")


def _values(world: World, meter: Obj, customer: str, start: int, end: int) -> list[str]:
    return [
        each["value"]
        for each in world.table("billing.meter_event").values()
        if each["meter"] == meter["id"] and each["customer"] == customer and start <= each["timestamp"] < end
    ]


def _summary(meter: Obj, values: list[str], start: int, end: int) -> Obj:
    return {
        "id": f"mtrusg_test_{meter['id'][-8:]}{start}",
        "object": "billing.meter_event_summary",
        "aggregated_value": _aggregated(meter["default_aggregation"]["formula"], values),
        "end_time": end,
        "livemode": False,
        "meter": meter["id"],
        "start_time": start,
    }


def _aggregated(formula: str, values: list[str]) -> int | float:
    match formula:
        case "count":
            return len(values)
        case "last":
            return _number(values[-1])
        case _:
            return sum(_number(value) for value in values)


def _number(written: str) -> int | float:
    return float(written) if "." in written else int(written)
