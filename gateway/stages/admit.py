"""1. Admit: find out who calls, and whether the body is what the endpoint takes."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.keyring import Caller, InvalidKey, KeyringUnavailable
from fastanchor.lib.networks import is_within
from gateway.asked import Asked
from gateway.call import Request, Source
from gateway.errors import InvalidApiKey, PermissionDenied, ServiceUnavailable, UnsupportedMediaType
from gateway.runtime import Gateway

_FROZEN = "This organization is frozen: none of its keys is let in. Write to us; the dashboard says more."
_HOW = "Send 'Authorization: Bearer YOUR_KEY' with a key from the dashboard."


def bearer(headers: Mapping[str, str]) -> str:
    """Return the API key of a request; raises ``InvalidApiKey``."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    # Anthropic's older SDKs and Azure's clients have headers of their own.
    if other := headers.get("x-api-key") or headers.get("api-key"):
        return other.strip()
    raise InvalidApiKey(f"No API key was sent. {_HOW}", headers=(("www-authenticate", "Bearer"),))


async def authenticate(gateway: Gateway, headers: Mapping[str, str], source: Source) -> Caller:
    """Return the caller that a request's key belongs to; raises 401, 403 and 503 errors."""
    token = bearer(headers)
    caller = gateway.keyring.peek(token) or await _look_up(gateway, token)
    if caller.networks:
        _check_address(gateway, caller, source)
    return caller


async def _look_up(gateway: Gateway, token: str) -> Caller:
    try:
        return await gateway.keyring.caller(token)
    except InvalidKey as exc:
        if exc.reason == "frozen":
            raise PermissionDenied(_FROZEN) from None
        raise InvalidApiKey(
            f"The API key is not valid: unknown, revoked or expired. {_HOW}",
            headers=(("www-authenticate", "Bearer"),),
        ) from None
    except KeyringUnavailable as exc:
        raise ServiceUnavailable(
            "API keys cannot be checked right now. Try again soon.", retry_after_s=1
        ) from exc


def _check_address(gateway: Gateway, caller: Caller, source: Source) -> None:
    address = gateway.front.client(source.peer, source.forwarded)
    if not is_within(address, caller.networks):
        seen = f"from {address}" if address else "from an address that we cannot see"
        raise PermissionDenied(
            f"This API key may not be used {seen}. Its allowed IP ranges are set in the dashboard."
        )


async def admit(gateway: Gateway, request: Request) -> tuple[Caller, Asked]:
    """Authenticate the caller and read the body; raises 400, 401, 403, 415 and 503 errors."""
    caller = await authenticate(gateway, request.headers, request.source)
    if len(gateway.running) > gateway.capacity.calm:
        await gateway.capacity.turn(caller.priority)
    kind, wanted = request.headers.get("content-type", ""), request.format.content_type
    if not kind.lower().startswith(wanted):
        raise UnsupportedMediaType(f"Send the body with 'Content-Type: {wanted}'.")
    return caller, request.format.parse(request.body, request.headers)
