"""What the calm part of /v1 tells of money: PostgreSQL is asked through injected loaders.

What belongs to one organization is found by no other, and nobody waits longer than ``WAIT_S``. Money is nano-USD.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from billing.holds import Spent
from billing.spool import Usage
from catalog.snapshot import Price
from fastanchor.lib.lanes import Lane

# A quarter of the loaders' threads.
READERS = 2
WAIT_S = 2.0


class BooksUnavailable(Exception):
    """The store does not answer now."""


@dataclass(frozen=True, slots=True)
class Booked:
    """A usage record and the price by which it was charged; ``None`` where the price is gone."""

    usage: Usage
    price: Price | None


@dataclass(frozen=True, slots=True)
class Credit:
    """What an organization has; ``held_nano`` is ``None`` while Valkey is away."""

    balance_nano: int
    held_nano: int | None
    available_nano: int
    promo_nano: int
    # Unix seconds, of the part that expires first.
    promo_expires_at: int | None
    # All that was ever used.
    used_nano: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What one subject of budgets has spent and holds; ``held_nano`` is ``None`` while Valkey is away."""

    spent: Spent
    held_nano: int | None


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """What one key, the member who made it (if one did) and its organization have spent and hold."""

    name: str
    key: Standing
    member: Standing | None
    organization: Standing


@dataclass(frozen=True, slots=True)
class BookLoaders:
    """What the books need of the store; organization first, then the request or the key."""

    find: Callable[[str, str], Awaitable[Booked | None]]
    credit: Callable[[str], Awaitable[Credit]]
    key: Callable[[str, str], Awaitable[KeyStanding]]


class Books:
    """Usage records, credit and spending; every method raises ``BooksUnavailable``."""

    def __init__(self, loaders: BookLoaders, *, wait_s: float = WAIT_S) -> None:
        self._loaders = loaders
        self._lane = Lane("books", slots=READERS, wait_s=wait_s, away=BooksUnavailable)

    async def find(self, organization_id: str, request_id: str) -> Booked | None:
        """Return what is booked of a request, unless it is unknown or someone else's."""
        load = partial(self._loaders.find, organization_id, request_id)
        return await self._lane.pass_through(load, who=organization_id)

    async def credit(self, organization_id: str) -> Credit:
        """Return what an organization has."""
        return await self._lane.pass_through(
            partial(self._loaders.credit, organization_id), who=organization_id
        )

    async def key(self, organization_id: str, key_id: str) -> KeyStanding:
        """Return what a key has spent."""
        return await self._lane.pass_through(
            partial(self._loaders.key, organization_id, key_id), who=organization_id
        )
