"""The gateway of this process; put here by ``fastanchor.wiring`` when the server starts."""

from __future__ import annotations

from gateway.errors import ServiceUnavailable
from gateway.runtime import Gateway

_gateway: Gateway | None = None


def open_door(gateway: Gateway | None) -> None:
    """Set this process's gateway, or take it away."""
    global _gateway  # noqa: PLW0603 - one per process, like settings
    _gateway = gateway


def gateway() -> Gateway | None:
    """Return this process's gateway, or ``None`` while it starts or stops."""
    return _gateway


def current() -> Gateway:
    """Return this process's gateway; raises ``ServiceUnavailable`` while it starts or stops."""
    if _gateway is None:
        raise ServiceUnavailable(
            "The server is starting or stopping. Try again in a second.", retry_after_s=1
        )
    return _gateway
