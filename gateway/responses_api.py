"""The calm part of /v1/responses: responses that are kept, and the tokens of a request.

Each endpoint shows a caller what belongs to its own organization and nothing else.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from accounts.archive import Kept
from gateway import stored, stored_items
from gateway.call import Request
from gateway.calm import enter
from gateway.described import request_body
from gateway.endpoints import ENDPOINTS
from gateway.errors import InvalidRequest, NotFound
from gateway.formats.responses import ResponsesAsked
from gateway.stages.reserve import reserve
from gateway.stages.route import estimate, route

router = Router(tags=["Stored responses"])
_FORMAT = ENDPOINTS["/v1/responses"]
# How SDKs say that a response is not to be streamed.
_NO = frozenset({"", "0", "false"})


class ItemQuery(Schema):
    """Which items are listed."""

    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"
    after: str = ""


class InputTokens(Schema):
    """What a request would hold."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class Deleted(Schema):
    """What is told of a response that is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class StoredResponse(Schema):
    """A response in OpenAI's shape: the fields that each has, of more."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    previous_response_id: str | None


class ItemList(Schema):
    """Items before a response's output, or a page of them."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    has_more: bool
    first_id: str | None
    last_id: str | None


def _shown(body: bytes | msgspec.Raw) -> HttpResponse:
    return HttpResponse(bytes(body), content_type="application/json")


@router.post(
    "/input_tokens",
    response=InputTokens,
    operation_id="countInputTokens",
    summary="Estimate a request's input tokens",
    openapi_extra={"requestBody": request_body("model", "input")},
)
async def count_input_tokens(request: HttpRequest) -> InputTokens:
    """Return an estimate of the input tokens, earlier turns included; it costs nothing, and counts as a request."""
    gateway, caller = await enter(request)
    asked = _FORMAT.parse(request.body, {})
    assert isinstance(asked, ResponsesAsked)
    call = route(gateway, Request({}, b"", _FORMAT), caller, asked)
    await reserve(gateway, call, is_free=True)
    assert call.hold is not None
    gateway.holds.settle(call.hold, cost_nano=0, tokens=0)
    if previous := asked.body.previous_response_id:
        asked.prepend(await stored.earlier_items(gateway, caller, previous))
    return InputTokens(input_tokens=estimate(asked.prompt).fair)


@router.post("/compact", operation_id="compactResponse", summary="Not offered", include_in_schema=False)
async def compact(request: HttpRequest) -> None:
    """Say that conversations are not compacted here."""
    await enter(request)
    raise NotFound("Conversations are not compacted here. Send a shorter 'input' of your own instead.")


@router.get(
    "/{response_id}",
    response=StoredResponse,
    operation_id="retrieveResponse",
    summary="Show a stored response",
)
async def show_response(request: HttpRequest, response_id: str) -> HttpResponse:
    """Return a response as it was answered, or as far as the work on it has come."""
    gateway, caller = await enter(request)
    if request.GET.get("stream", "false").lower() not in _NO or "starting_after" in request.GET:
        raise InvalidRequest(
            "A stored response is not streamed here. Leave 'stream' and 'starting_after' out.", param="stream"
        )
    kept = await stored.found(gateway, caller, response_id)
    return _shown(kept.read().response)


@router.delete("/{response_id}", response=Deleted, operation_id="deleteResponse", summary="Delete a response")
async def delete_response(request: HttpRequest, response_id: str) -> Deleted:
    """Delete a response for good; later ones that went on from it keep what they hold."""
    gateway, caller = await enter(request)
    if not await stored.delete(gateway, caller, response_id):
        raise stored.not_found(response_id)
    return Deleted(id=response_id)


@router.post(
    "/{response_id}/cancel",
    response=StoredResponse,
    operation_id="cancelResponse",
    summary="Cancel a background response",
)
async def cancel_response(request: HttpRequest, response_id: str) -> HttpResponse:
    """End the work on a background response; one that has ended is returned as it is."""
    gateway, caller = await enter(request)
    kept = await stored.cancel(gateway, caller, response_id)
    return _shown(kept.read().response)


@router.get(
    "/{response_id}/input_items",
    response=ItemList,
    operation_id="listInputItems",
    summary="List a response's input",
)
async def list_input_items(request: HttpRequest, response_id: str, query: Query[ItemQuery]) -> HttpResponse:
    """Return the items before a response's output, those of earlier turns among them."""
    gateway, caller = await enter(request)
    kept = await stored.found(gateway, caller, response_id)
    return _shown(msgspec.json.encode(_page(kept, query)))


def _page(kept: Kept, query: ItemQuery) -> Any:
    try:
        return stored_items.page(
            kept.read().input,
            kept.id,
            limit=query.limit,
            is_newest_first=query.order == "desc",
            after=query.after,
        )
    except stored_items.UnknownItem:
        raise InvalidRequest(f"There is no item '{query.after[:80]}' here.", param="after") from None
