"""What one gateway process holds: doors, client, health, deadlines. Built by ``fastanchor.wiring``."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from accounts.archive import Archive
from accounts.contents import Contents
from accounts.keyring import Keyring
from billing.holds import Holds
from billing.spool import Spool
from catalog.snapshot import Catalog
from fastanchor.lib.long_waits import LongWaits
from fastanchor.lib.networks import DIRECT, Front
from gateway.books import Books
from gateway.credentials import Credentials
from gateway.health import Health
from gateway.limits import Limits
from gateway.memory import Memory
from gateway.overload import Capacity
from gateway.reply import Reply
from gateway.speeds import Speeds
from gateway.upstreams.http import HttpClient


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each wait may take, in seconds."""

    # The caller's body, and a second more for each 16 KiB of it.
    body_s: float = 15.0
    # An upstream's first content of a stream, and the silence between contents.
    first_token_s: float = 120.0
    # The first content of a model that may think unseen before it.
    thinking_s: float = 600.0
    idle_s: float = 60.0
    # A whole answer, and a whole stream.
    whole_s: float = 600.0
    stream_s: float = 1800.0
    # How long an upstream is read on after the caller left.
    drain_s: float = 30.0
    # How long a caller may not read before the stream is given up.
    slow_reader_s: float = 30.0
    # The silence after which a keep-alive comment is sent.
    keep_alive_s: float = 10.0

    def until_content(self, *, reasons: bool) -> float:
        """Return how long a stream's first content is waited for: a model may think unseen before it."""
        return self.thinking_s if reasons else self.first_token_s

    def between_contents(self, *, reasons: bool) -> float:
        """Return how long a stream may be silent once it has begun: a model may think again before it goes on."""
        return max(self.idle_s, self.first_token_s) if reasons else self.idle_s


@dataclass(slots=True)
class Gateway:
    """The parts that the stages share."""

    catalog: Catalog
    keyring: Keyring
    archive: Archive
    books: Books
    holds: Holds
    spool: Spool
    client: HttpClient
    health: Health
    deadlines: Deadlines
    max_body_bytes: int
    # Where prompts and answers go that an organization wants to be kept.
    contents: Contents | None = None
    speeds: Speeds = field(default_factory=Speeds)
    # What clients drop of earlier thoughts; without it each upstream's fallback must do.
    memory: Memory | None = None
    # Which proxies are believed when they say where a request comes from.
    front: Front = DIRECT
    # What upstreams allow our channels, and which of our credentials they take.
    limits: Limits = field(default_factory=Limits)
    credentials: Credentials = field(default_factory=Credentials)
    # What decides among channels that are equally good.
    chance: random.Random = field(default_factory=random.Random)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    # Replies whose stream is open, for ``gateway.upkeep``.
    streams: set[Reply] = field(default_factory=set)
    waits: LongWaits = field(default_factory=LongWaits)
    # How many calls are worked on at once, and how many bytes of bodies may be on their way.
    max_running: int = 2_000
    max_arriving_bytes: int = 256 * 1024 * 1024
    arriving_bytes: int = 0
    capacity: Capacity = field(init=False)
    # What this process works on in the background, by the id of the response; see ``gateway.background``.
    background: dict[str, Reply] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.capacity = Capacity(self.running, self.max_running)

    def detach(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Start work that outlives the request that asked for it; the only place that does."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the calls under way, at most ``timeout_s``."""
        if self.running:
            await asyncio.wait(set(self.running), timeout=timeout_s)

    async def abandon(self) -> None:
        """Cancel the calls that did not end in time; the shipper settles them from the spool."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
