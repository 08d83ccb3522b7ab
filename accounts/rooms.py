"""How much space each organization uses of a share: counted now and then, and added to between, so nearly exact."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# How long a process trusts its count, and of how many organizations it remembers one.
COUNT_EVERY_S = 30.0
MOST_ROOMS = 10_000


@dataclass(slots=True)
class _Room:
    counted_at: float
    used: int


class Rooms:
    """The space that organizations use in one place; ``count`` returns the bytes of one, ``quota`` what each may use."""

    def __init__(self, count: Callable[[str], int], quota: Callable[[], int]) -> None:
        self._count = count
        self._quota = quota
        self._rooms: dict[str, _Room] = {}

    def take(self, organization_id: str, size: int) -> bool:
        """Take so many bytes; ``False`` where they are more than are left."""
        room = self._rooms.get(organization_id)
        if room is None or time.monotonic() - room.counted_at > COUNT_EVERY_S:
            room = _Room(time.monotonic(), self._count(organization_id))
            if len(self._rooms) >= MOST_ROOMS:
                self._rooms.clear()
            self._rooms[organization_id] = room
        if room.used + size > self._quota():
            return False
        room.used += size
        return True

    def forget(self, organization_id: str) -> None:
        """Count anew at the next need: something was deleted."""
        self._rooms.pop(organization_id, None)
