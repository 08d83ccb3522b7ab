"""What is told of a caller's own key of a provider, where nothing else may serve.

Never 401, which is about our own keys: programs would take them for wrong. Nor 402, upon which they would buy credit. What
the provider refuses for the key's sake is 403, and its limits are 429.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from catalog.snapshot import Route
from gateway.call import Call
from gateway.errors import GatewayError, PermissionDenied, RateLimit
from gateway.failures import AttemptFailed, Inexpressible
from gateway.runtime import Gateway

_WHERE = "Test or replace it under Settings, Provider keys, in the dashboard."
_WORDS = {
    401: f"was refused by the provider (401). {_WHERE}",
    402: f"was refused by the provider for want of credit or quota there (402). {_WHERE}",
    403: "may not do this at the provider (403). See the key's permissions there.",
    404: "does not reach this model at the provider (404). See the key's permissions there.",
}


def is_retry(call: Call, route: Route) -> bool:
    """Tell whether an attempt after others burdens the provider of our channels again.

    The first one at a channel of ours does not, where only the caller's own key has failed before.
    """
    return route.channel.is_own or call.has_failed_at_ours


def refusal(gateway: Gateway, call: Call, failures: Sequence[AttemptFailed]) -> GatewayError | None:
    """Return what is told where only the caller's own key may serve, and it is to blame; nothing otherwise."""
    own = call.own
    if own is None or not own.is_only:
        return None
    name = f"Your own {own.provider_name} key"
    if failures:
        return None if isinstance(failures[-1], Inexpressible) else _of_failure(name, failures[-1])
    if own.channel is None:
        return _denied(f"{name} is out of service. {own.trouble} {_WHERE}")
    if not all(map(gateway.credentials.works, own.routes(call.model))):
        return _denied(f"{name} was refused by the provider. {_WHERE}")
    return None


def _of_failure(name: str, failure: AttemptFailed) -> GatewayError | None:
    if failure.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimit(
            f"{name} has reached a limit of the provider (429). Try again later, or raise the limit there.",
            retry_after_s=max(1.0, failure.pause_s),
        )
    if not failure.status:
        return None
    return _denied(f"{name} {_WORDS.get(failure.status, f'was refused by the provider ({failure.status}).')}")


def _denied(message: str) -> PermissionDenied:
    return PermissionDenied(message, should_retry=False)
