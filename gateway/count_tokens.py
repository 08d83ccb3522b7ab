"""``/v1/messages/count_tokens``: how many tokens a message would hold, without asking for an answer.

Anthropic counts exactly and for nothing; for every other model it is our estimate. It is free, and counts as one
request against the limits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from msgspec import UNSET

from catalog.snapshot import Route
from gateway import door
from gateway.call import Call, Request
from gateway.calm import source_of
from gateway.envelope import refusal_response
from gateway.errors import GatewayError, InternalError, InvalidRequest
from gateway.formats.messages import Messages, MessagesAsked
from gateway.formats.messages_read import parse_messages
from gateway.passages.native_messages import native_body
from gateway.runtime import Gateway
from gateway.stages.admit import admit
from gateway.stages.reserve import limit_headers, reserve
from gateway.stages.route import route
from gateway.upstreams import openai_wire
from gateway.upstreams.anthropic_wire import TARGET, request_headers
from gateway.upstreams.base import NONSENSE
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable
from gateway.upstreams.origin import Origin
from gateway.views import body_of

logger = logging.getLogger(__name__)

COUNT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024
_ADAPTER = "anthropic"
# What belongs to the answer, and is not known where tokens are counted.
_OF_THE_ANSWER: dict[str, Any] = {
    "max_tokens": None,
    "metadata": UNSET,
    "stop_sequences": None,
    "stream": None,
    "temperature": None,
    "top_k": None,
    "top_p": None,
    "compaction": UNSET,
    "diagnostics": UNSET,
}


class _CountedMessages(Messages):
    """Messages whose answer is not asked for, so that it needs no maximum."""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> MessagesAsked:
        """See ``Format.parse``."""
        return MessagesAsked(parse_messages(body, needs_maximum=False))


class _Counted(msgspec.Struct):
    input_tokens: int


_FORMAT = _CountedMessages()
_OUR_FAULT = InternalError("Something went wrong on our side. Try again.")
_COUNTED = msgspec.json.Decoder(_Counted)


@csrf_exempt
async def count_tokens(request: HttpRequest) -> HttpResponse:
    """POST a message, get the tokens that it holds."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = Request(headers, b"", _FORMAT, source_of(request))
    try:
        asked = msgspec.structs.replace(asked, body=body_of(request))
        tokens, shown = await _count(door.current(), asked)
    except GatewayError as error:
        return refusal_response(error, _FORMAT, asked.id)
    except Exception:
        logger.exception("gateway.count_tokens.failed", extra={"request": asked.id})
        return refusal_response(_OUR_FAULT, _FORMAT, asked.id)
    response = HttpResponse(msgspec.json.encode({"input_tokens": tokens}), content_type="application/json")
    for name, value in (*shown, *_FORMAT.headers(asked.id)):
        response[name] = value
    return response


async def _count(gateway: Gateway, request: Request) -> tuple[int, list[tuple[str, str]]]:
    caller, asked = await admit(gateway, request)
    call = route(gateway, request, caller, asked)
    await reserve(gateway, call, is_free=True)
    assert call.hold is not None
    try:
        counted = await _by_provider(gateway, call)
    finally:
        gateway.holds.settle(call.hold, cost_nano=0, tokens=0)
    return counted or call.estimate.fair, limit_headers(call.hold.limits)


async def _by_provider(gateway: Gateway, call: Call) -> int | None:
    """Return the provider's own count, or ``None`` where none can be had now."""
    for each in call.candidates:
        if each.channel.adapter != _ADAPTER or not gateway.health.may_try(each.channel.id):
            continue
        try:
            return await _ask(gateway, call, each)
        except (UpstreamUnreachable, UpstreamBroken, UpstreamTimeout, UpstreamTooLarge) as exc:
            logger.info(
                "gateway.count_tokens.no_answer", extra={"channel": each.channel.id, "reason": str(exc)}
            )
        finally:
            # A count says too little about a channel to judge it by.
            gateway.health.gave_up(each.channel.id)
    return None


async def _ask(gateway: Gateway, call: Call, to: Route) -> int | None:
    assert isinstance(call.asked, MessagesAsked)
    origin = Origin.of(to.channel.base_url)
    exchange = await gateway.client.connect(origin, answer_s=COUNT_S)
    headers = request_headers(to.channel, call.request.headers, call.model, is_stream=False, is_native=True)
    body = native_body(call.asked, call.attempt(to), dict(_OF_THE_ANSWER))
    await exchange.ask(f"{TARGET}/count_tokens", headers=headers, body=body)
    answer = await exchange.body(_MAX_ANSWER_BYTES)
    if exchange.status == 400 and not openai_wire.blames_our_account(answer):
        message, param = openai_wire.complaint(answer, to.channel)
        raise InvalidRequest(message, param=param)
    try:
        return max(0, _COUNTED.decode(answer).input_tokens) if exchange.status == 200 else None
    except NONSENSE:
        return None
