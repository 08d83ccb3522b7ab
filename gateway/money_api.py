"""The calm part of /v1 that tells of money: what a request cost and why, what is left, what a key may spend.

Amounts are told twice: as integers of nano-USD (a receipt's lines as pico-USD), and as text with all places. Fields
that clients of OpenRouter look for are numbers of USD, as they know them.
"""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Router

from fastanchor.lib.ids import BASE62
from gateway.books import BooksUnavailable
from gateway.calm import enter
from gateway.errors import NotFound, ServiceUnavailable
from gateway.money_shapes import CreditAnswer, GenerationAnswer, KeyAnswer
from gateway.money_shown import shown_credit, shown_key, shown_receipt
from gateway.receipts import receipt_of
from gateway.runtime import Gateway

router = Router(tags=["money"])

_ID = re.compile(r"req_([0-9A-Za-z]{8})[0-9A-Za-z]{14}")
# Clocks of several hosts differ a little.
_AHEAD_S = 5.0
# A record takes this long from the end of its request to PostgreSQL, and more on a bad day.
_SETTLING_S = 60.0


@router.get(
    "/generations/{request_id}",
    response=GenerationAnswer,
    operation_id="retrieveGeneration",
    summary="Show a request's receipt",
)
async def show_generation(request: HttpRequest, request_id: str) -> HttpResponse:
    """Return what a request used, by which price, each class of tokens times its rate, and why it was charged or not.

    ``request_id`` is what the header ``x-request-id`` said. The receipt is there a second after the request has ended.
    """
    gateway, caller = await enter(request)
    booked = None
    if _ID.fullmatch(request_id):
        try:
            booked = await gateway.books.find(caller.organization_id, request_id)
        except BooksUnavailable as exc:
            raise _away() from exc
    if booked is None:
        raise _no_receipt(gateway, request_id)
    return _answer(shown_receipt(receipt_of(booked.usage, booked.price)))


@router.get("/credits", response=CreditAnswer, operation_id="retrieveCredits", summary="Show the credit")
async def show_credits(request: HttpRequest) -> HttpResponse:
    """Return what the key's organization has, what running requests hold of it, and what is available."""
    gateway, caller = await enter(request)
    try:
        credit = await gateway.books.credit(caller.organization_id)
    except BooksUnavailable as exc:
        raise _away() from exc
    return _answer(shown_credit(credit))


@router.get("/key", response=KeyAnswer, operation_id="retrieveKey", summary="Show the key")
async def show_key(request: HttpRequest) -> HttpResponse:
    """Return what the key that asks may do: limits, models, expiry, and what remains of its budgets."""
    gateway, caller = await enter(request)
    try:
        standing = await gateway.books.key(caller.organization_id, caller.key_id)
    except BooksUnavailable as exc:
        raise _away() from exc
    return _answer(shown_key(caller, standing, at=time.time()))


def _no_receipt(gateway: Gateway, request_id: str) -> NotFound:
    """Return the refusal; a request that may still run, or was only just booked, is worth another look."""
    found = _ID.fullmatch(request_id)
    if found is not None:
        age_s = time.time() - _milliseconds(found[1]) / 1_000
        if -_AHEAD_S <= age_s <= gateway.deadlines.stream_s + _SETTLING_S:
            return NotFound(
                "There is no receipt of this request yet. It is there a second after the request has ended.",
                param="request_id",
                retry_after_s=1,
            )
    return NotFound(
        "There is no receipt of this request. What was refused at once has none and cost nothing.",
        param="request_id",
    )


def _milliseconds(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 62 + BASE62.index(digit)
    return number


def _away() -> ServiceUnavailable:
    return ServiceUnavailable("The books cannot be read right now. Try again in a second.", retry_after_s=1)


def _answer(data: dict[str, Any]) -> HttpResponse:
    return HttpResponse(msgspec.json.encode({"data": data}), content_type="application/json")
