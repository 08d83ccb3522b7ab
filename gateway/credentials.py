"""Which of a channel's credentials is used next: those that work take turns.

One that an upstream refused is left alone at once by this process; ``tell`` carries the verdict to where the others
learn of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from catalog.snapshot import Channel, Route
from catalog.verdicts import Refusal

# A credential of ours that an upstream refuses will not heal by itself soon.
REFUSED_PAUSE_S = 300.0


def _tell_nobody(_refusal: Refusal) -> None:
    return


class Credentials:
    """Remembers what was refused, and whose turn it is."""

    def __init__(
        self,
        tell: Callable[[Refusal], None] = _tell_nobody,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._out_until: dict[str, float] = {}
        self._turns: dict[str, int] = {}

    @property
    def are_out(self) -> bool:
        """Tell whether any credential is left alone."""
        return bool(self._out_until)

    def chosen(self, route: Route) -> Route | None:
        """Return a route with the credential whose turn it is; ``None`` where none works."""
        if not route.twins:
            return route if self._works(route.channel) else None
        working = [each for each in (route, *route.twins) if self._works(each.channel)]
        if not working:
            return None
        turn = self._turns[route.channel.id] = self._turns.get(route.channel.id, -1) + 1
        return working[turn % len(working)]

    def works(self, route: Route) -> bool:
        """Tell whether any credential of a route's channel works, as far as is known."""
        return any(self._works(each.channel) for each in (route, *route.twins))

    def refused(self, channel: Channel, *, reason: str) -> None:
        """Leave a credential alone, and tell of it."""
        self._out_until[_name(channel)] = self._clock() + REFUSED_PAUSE_S
        if channel.credential:
            self._tell(Refusal(channel.credential, reason))

    def _works(self, channel: Channel) -> bool:
        until = self._out_until.get(_name(channel)) if self._out_until else None
        if until is None:
            return True
        if self._clock() < until:
            return False
        del self._out_until[_name(channel)]
        return True


def _name(channel: Channel) -> str:
    return channel.credential or channel.id
