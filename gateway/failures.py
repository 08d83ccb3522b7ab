"""How an attempt fails, and what an upstream's refusal says: is it the caller's fault, the channel's, or our credential's."""

from __future__ import annotations

import logging
import math
import time
from http import HTTPStatus
from typing import NoReturn

from catalog.snapshot import Route
from gateway.errors import InvalidRequest, RequestTooLarge
from gateway.passages.base import Passage
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge
from gateway.upstreams.http import Exchange

logger = logging.getLogger(__name__)

MAX_ERROR_BYTES = 64 * 1024
# How long the text of an error is waited for, once its status is here.
ERROR_TEXT_S = 5.0


class AttemptFailed(Exception):
    """One channel did not answer; another (or the same, if ``can_repeat``) may."""

    def __init__(
        self,
        reason: str,
        *,
        can_repeat: bool,
        has_answered: bool,
        may_be_billed: bool = False,
        blames_channel: bool = True,
        pause_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.can_repeat = can_repeat
        self.has_answered = has_answered
        self.may_be_billed = may_be_billed
        self.blames_channel = blames_channel
        self.pause_s = pause_s
        # What the upstream answered, where that was a refusal.
        self.status = 0


class Inexpressible(AttemptFailed):
    """A channel's protocol cannot say what is asked; nothing was sent."""

    def __init__(self, complaint: InvalidRequest) -> None:
        super().__init__(complaint.message, can_repeat=False, has_answered=False, blames_channel=False)
        self.complaint = complaint


class CredentialRefused(AttemptFailed):
    """The credential of ours is not taken; the channel's others may be."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}", can_repeat=False, has_answered=False, blames_channel=False)


async def refuse(exchange: Exchange, route: Route, passage: Passage) -> NoReturn:
    """Raise what an upstream's status and text say: the caller's fault, the channel's, or our credential's."""
    status = exchange.status
    exchange.deadline = min(exchange.deadline, time.monotonic() + ERROR_TEXT_S)
    try:
        body = await exchange.body(MAX_ERROR_BYTES)
    except (UpstreamBroken, UpstreamTimeout, UpstreamTooLarge):
        # The status has said it; the text would only have explained.
        body = b""
    if status in {400, 429} and passage.blames_our_account(body):
        status = 402
    if status in {400, 422}:
        message, param = passage.complaint(body, route.channel)
        raise InvalidRequest(message, param=param)
    if status == 413:
        raise RequestTooLarge("The request is larger than the model's provider accepts.")
    failure = _failure(exchange, route, status)
    failure.status = status if status < HTTPStatus.INTERNAL_SERVER_ERROR else 0
    raise failure


def _failure(exchange: Exchange, route: Route, status: int) -> AttemptFailed:
    if status in {401, 402, 403}:
        # The credential is ours: the caller must never be told that theirs is wrong. Of a caller's own key of the
        # provider it is told, in other words (``gateway.own_keys``), and staff need not look.
        level = logging.INFO if route.channel.is_own else logging.ERROR
        extra = {"channel": route.channel.id, "status": status}
        logger.log(level, "gateway.channel.credential_refused", extra=extra)
        # A 403 may be about what this caller asked for, such as a beta or a video that is not ours to use: then one
        # caller must not take the channel from all others. If it is about us, it comes again at once.
        if status != 403:
            return CredentialRefused(status)
        return AttemptFailed(f"status {status}", can_repeat=False, has_answered=False)
    if status == 429:
        return AttemptFailed(
            "status 429", can_repeat=False, has_answered=False, pause_s=_retry_after(exchange)
        )
    if status < 500:
        # Most often one model that the provider has retired: the channel's other models are fine.
        return AttemptFailed(f"status {status}", can_repeat=False, has_answered=False, blames_channel=False)
    return AttemptFailed(f"status {status}", can_repeat=True, has_answered=True)


def _retry_after(exchange: Exchange) -> float:
    raw = exchange.headers.get(b"retry-after", b"1")
    try:
        seconds = float(raw)
    except ValueError:
        return 1.0
    return 1.0 if math.isnan(seconds) else min(60.0, max(0.0, seconds))
