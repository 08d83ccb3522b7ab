"""Keeping what a request asked and was answered, where its organization wants that; after all has been sent."""

from __future__ import annotations

from accounts.contents import Content
from accounts.keyring import Caller
from gateway.call import Request
from gateway.reply import Copy, Reply
from gateway.runtime import Gateway


def copy(gateway: Gateway, caller: Caller, reply: Reply) -> None:
    """Copy what is sent from now on, so that it can be kept for the caller's organization."""
    if gateway.contents is not None:
        reply.copy = Copy(caller.organization_id, gateway.contents.max_bytes)


async def keep(gateway: Gateway, request: Request, reply: Reply) -> None:
    """Keep the body as it came and the answer as it was sent, each up to the most that is kept."""
    if reply.copy is None or gateway.contents is None:
        return
    most, answered = gateway.contents.max_bytes, bytes(reply.copy.sent)
    is_cut = max(len(request.body), len(answered)) >= most
    content = Content(request.id, reply.copy.organization_id, request.body[:most], answered, is_cut=is_cut)
    await gateway.contents.keep(content)
