"""Events, and the endpoints that they are sent to."""

from __future__ import annotations

from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe.calls import Call, merged, update
from fastanchor.local.fakestripe.errors import invalid
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.parameters import api
from fastanchor.local.fakestripe.world import VERSION, Obj, World

_KEPT_S = 30 * 86_400


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/events/{id}``."""
    return call.object_in_path("event")


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/events``: those of the last 30 days."""
    world, params = call.world, call.params
    oldest = world.now() - _KEPT_S
    rows = [each for each in world.newest_first("event") if each["created"] >= oldest]
    kinds = params.get("types") or ([params["type"]] if "type" in params else [])
    if kinds:
        rows = [each for each in rows if any(_fits(each["type"], kind) for kind in kinds)]
    if "delivery_success" in params:
        rows = [each for each in rows if was_delivered(world, each) == params["delivery_success"]]
    return page(call, rows, "/v1/events")


def _fits(kind: str, wanted: str) -> bool:
    """Say whether a type is the wanted one; ``charge.*`` wants every type that begins so."""
    return kind.startswith(wanted[:-1]) if wanted.endswith("*") else kind == wanted


def was_delivered(world: World, event: Obj) -> bool:
    """Say whether every endpoint took an event."""
    return not world.hidden(event["id"]).get("undelivered", 0)


def wants(endpoint: Obj, kind: str) -> bool:
    """Say whether an endpoint wants events of a type."""
    return endpoint["status"] == "enabled" and any(each in {"*", kind} for each in endpoint["enabled_events"])


def create_endpoint(call: Call) -> Obj:
    """Answer ``POST /v1/webhook_endpoints``; only this answer tells the secret."""
    params, world = call.params, call.world
    _require_known(params["enabled_events"])
    endpoint = world.add(
        "webhook_endpoint",
        api_version=params.get("api_version") or call.version or VERSION,
        description=call.text("description"),
        enabled_events=params["enabled_events"],
        metadata=merged({}, params.get("metadata")),
        status="enabled",
        url=params["url"],
    )
    secret = f"whsec_{random_base62(32)}"
    world.hidden(endpoint["id"])["secret"] = secret
    return {**endpoint, "secret": secret}


def _require_known(kinds: Any) -> None:
    for kind in kinds:
        if kind not in api()["events"]:
            raise invalid(f"Invalid enabled_events: unknown event type {kind}.", param="enabled_events")


def retrieve_endpoint(call: Call) -> Obj:
    """Answer ``GET /v1/webhook_endpoints/{webhook_endpoint}``."""
    return call.object_in_path("webhook_endpoint", "webhook_endpoint")


def change_endpoint(call: Call) -> Obj:
    """Answer ``POST /v1/webhook_endpoints/{webhook_endpoint}``."""
    endpoint = retrieve_endpoint(call)
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if call.params["disabled"] else "enabled"
    update(call, endpoint, ("description", "enabled_events", "metadata", "url"))
    return endpoint


def delete_endpoint(call: Call) -> Obj:
    """Answer ``DELETE /v1/webhook_endpoints/{webhook_endpoint}``."""
    return call.world.bury(retrieve_endpoint(call))


def list_endpoints(call: Call) -> Obj:
    """Answer ``GET /v1/webhook_endpoints``."""
    return page(call, where(call, call.world.newest_first("webhook_endpoint")), "/v1/webhook_endpoints")
