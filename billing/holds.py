"""Holds: money reserved for running requests, decided in Valkey and rebuilt from PostgreSQL and the spools.

Per organization Valkey keeps four keys with one hash tag: the wallet (balance at a version, sum held, minute buckets),
the holds, their leases, and the spending of API keys, members and the organization itself. The balance is always PostgreSQL's own number, published with a
version; a hold becomes the actual cost when its request ends and is dropped when that cost is in the published
balance. So ``balance - held`` never shows more than there is, whatever the order of callers.

All of it belongs to an *epoch*, one life of the server's memory. When Valkey restarts or is flushed, a new epoch begins:
the shippers register what their spools still know. The wallets are opened again from PostgreSQL once the shipper of
the gateway's own host has done so, and after a grace for those of other hosts.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import redis

from billing.refusals import Limits, limits, refusal
from fastanchor.lib.valkey import Script, TurnPipeline, ValkeyUnavailable
from fastanchor.lib.windows import Window, period

LEASE_MS = 60_000
# How long one opening may take.
_OPENING_S = 60
MAX_OPENINGS = 3
# The mode of a request that costs no credit, because only its caller's own key of a provider may serve it: it has its
# place in the limits, and so many output tokens, which is all that Lua can count.
OWN = "own"
UNBOUNDED = 2**53 - 1
# How long a request waits for its wallet to be opened; PostgreSQL may be away without a word.
OPEN_S = 3.0
EPOCH_KEY = "fa:epoch"
# Doubles in Lua are exact up to here ($9.007 million); a larger balance is published as this much.
_EXACT_NANOS = UNBOUNDED

LUA = Path(__file__).with_name("lua")


def _script(name: str, *before: str) -> Script:
    return Script("".join((LUA / f"{each}.lua").read_text(encoding="utf-8") for each in (*before, name)))


_EXTEND, _SETTLE, _RENEW, _EPOCH = (_script(name) for name in ("extend", "settle", "renew", "epoch"))
_REGISTER = _script("register", "_later")
_ADMIT, _END_DEAD = (_script(name, "_give_back") for name in ("admit", "end_dead"))
_PUBLISH = _script("publish", "_give_back", "_later")


class HoldsUnavailable(Exception):
    """No hold can be decided now: Valkey is away, or the wallet cannot be opened yet."""

    def __init__(self, retry_after_s: float = 1.0) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Ask(msgspec.Struct, frozen=True):
    """What a request asks for; rates in pico-USD a token, ``mode`` explicit, stream, whole or own."""

    request_id: str
    organization_id: str
    key_id: str
    requests_per_minute: int
    tokens_per_minute: int
    key_requests_per_minute: int
    key_tokens_per_minute: int
    concurrency: int
    # What ``keyring.Caller.budgets`` says.
    budgets: tuple[str | int, ...]
    input_tokens: int
    input_cost_picos: int
    output_rate_picos: int
    output_tokens: int
    least_output_tokens: int
    mode: str


class Hold(msgspec.Struct):
    """Money reserved for one running request; grows by ``Holds.extend``."""

    ask: Ask
    amount_nano: int
    output_tokens: int
    # What was left to hold after this one.
    left_nano: int
    limits: Limits
    # PostgreSQL knows it by a row, which ends with it.
    has_row: bool = False


@dataclass(frozen=True, slots=True)
class PublishedWallet:
    """PostgreSQL's truth about one wallet at one version."""

    organization_id: str
    version: int
    balance_nano: int


@dataclass(frozen=True, slots=True)
class Spent:
    """PostgreSQL's truth about what a key, a member or an organization has spent in the present periods."""

    subject: str
    day_nano: int
    week_nano: int
    month_nano: int
    lifetime_nano: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What some subjects have spent, at a moment."""

    at: datetime
    subjects: Sequence[Spent] = ()


@dataclass(frozen=True, slots=True)
class RegisteredHold:
    """What a spool still knows of a request that is not in PostgreSQL."""

    organization_id: str
    request_id: str
    key_id: str
    amount_nano: int
    is_running: bool
    # The member that it counts for, too.
    member: str = ""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One life of Valkey's memory and its age in seconds."""

    name: str
    age_s: float


@functools.lru_cache(maxsize=10_000)
def keys_of(organization_id: str) -> list[str]:
    """Return the names of an organization's keys in Valkey: wallet, holds, leases, spending."""
    tag = f"fa:{{{organization_id}}}:"
    return [tag + "wallet", tag + "holds", tag + "leases", tag + "keys"]


def _opening_of(organization_id: str) -> str:
    return f"fa:{{{organization_id}}}:opening"


def _periods(at: datetime) -> tuple[str, ...]:
    return tuple(period(window, at) for window in Window)


# Opens the wallet of an organization in Valkey from PostgreSQL and returns the epoch it was opened in.
Opener = Callable[[str], Awaitable[str]]


class Holds:
    """The gateway's side: place, extend, settle, renew; one Lua call each, gathered per event-loop turn."""

    def __init__(
        self, pipeline: TurnPipeline, open_organization: Opener, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._pipeline = pipeline
        self._open = open_organization
        self._epoch = ""
        # How often it was forgotten: what is opened meanwhile is opened in an epoch of before.
        self._lives = 0
        pipeline.on_new_server = self._forget_epoch
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, Hold] = {}
        self._clock = clock
        self._day = -1
        self._periods: tuple[str, ...] = ()
        # Asked for, and never answered: they may be held all the same.
        self._doubtful: list[Ask] = []

    @property
    def is_degraded(self) -> bool:
        """Tell whether holds are decided in another way than usual."""
        return False

    def _budgets(self, ask: Ask) -> tuple[str | int, ...]:
        """Return what the scripts are told of a request's budgets."""
        now = self._clock()
        # Days of UTC are of one length in the time of Unix.
        if int(now) // 86_400 != self._day:
            self._day, self._periods = int(now) // 86_400, _periods(datetime.fromtimestamp(now, UTC))
        return self._periods + ask.budgets

    async def place(self, ask: Ask) -> Hold:
        """Reserve money and a place in the limits; raises ``RateLimited``, ``InsufficientCredit``, ``HoldsUnavailable``."""
        answer = await self._admit_known(ask)
        if answer[0] != 0:
            raise refusal(answer, ask.budgets, at=self._clock())
        hold = Hold(ask, int(answer[1]), int(answer[2]), int(answer[3]), limits(answer))
        self._running[ask.request_id] = hold
        return hold

    async def _admit_known(self, ask: Ask) -> Sequence[Any]:
        for _ in range(MAX_OPENINGS):
            asked_in = self._epoch
            answer = await self._admit(ask)
            if answer[0] != 1:
                return answer
            # Another call may have opened a wallet meanwhile, and so learned of the new epoch: then only ask again.
            if self._epoch == asked_in:
                await self._open_once(ask.organization_id)
        raise HoldsUnavailable

    async def _admit(self, ask: Ask) -> Sequence[Any]:
        arguments: tuple[str | int, ...] = (
            self._epoch, ask.request_id, ask.key_id, ask.requests_per_minute, ask.tokens_per_minute,
            ask.key_requests_per_minute, ask.key_tokens_per_minute, ask.concurrency, ask.input_tokens,
            ask.input_cost_picos, ask.output_rate_picos, ask.output_tokens, ask.least_output_tokens, ask.mode,
            LEASE_MS,
        )  # fmt: skip
        if ask.budgets:
            arguments += self._budgets(ask)
        try:
            answer: Sequence[Any] = await self._pipeline.call(_ADMIT, keys_of(ask.organization_id), arguments)
        except ValkeyUnavailable as exc:
            self._doubtful.append(ask)
            raise HoldsUnavailable from exc
        return answer

    async def _open_once(self, organization_id: str) -> None:
        task = self._opening.get(organization_id)
        if task is None:
            task = asyncio.ensure_future(self._open_and_adopt(organization_id))
            self._opening[organization_id] = task
            task.add_done_callback(lambda _: self._opening.pop(organization_id, None))
        try:
            async with asyncio.timeout(OPEN_S):
                # A caller that leaves must not stop the opening that others wait for.
                await asyncio.shield(task)
        except TimeoutError as exc:
            raise HoldsUnavailable from exc

    async def _open_and_adopt(self, organization_id: str) -> None:
        life = self._lives
        epoch = await self._open(organization_id)
        if life == self._lives:
            self._epoch = epoch

    def _forget_epoch(self) -> None:
        """Ask for the epoch again: a server that was restored from a copy knows ours, but not all of its holds."""
        self._epoch = ""
        self._lives += 1

    async def extend(self, hold: Hold, tokens: int) -> int:
        """Reserve up to ``tokens`` more of output and return how many were granted; 0 means that money ran out."""
        ask = hold.ask
        arguments: tuple[str | int, ...] = (
            self._epoch, ask.request_id, tokens, ask.output_rate_picos, LEASE_MS,
        )  # fmt: skip
        if ask.budgets:
            arguments += self._budgets(ask)
        try:
            granted, added = await self._pipeline.call(_EXTEND, keys_of(ask.organization_id), arguments)
        except ValkeyUnavailable as exc:
            raise HoldsUnavailable from exc
        if granted < 0:
            raise HoldsUnavailable
        hold.amount_nano += int(added)
        hold.output_tokens += granted
        return int(granted)

    def settle(self, hold: Hold, *, cost_nano: int, tokens: int) -> None:
        """End the hold at its cost (0 frees it at once); ``tokens`` is all input and output. Never waits, never raises.

        Should Valkey miss this call, the hold ends when the shipper publishes the cost, or with its lease.
        """
        ask = hold.ask
        self._running.pop(ask.request_id, None)
        arguments = (
            self._epoch, ask.request_id, ask.key_id, cost_nano, tokens - ask.input_tokens, ask.tokens_per_minute,
            ask.key_tokens_per_minute,
        )  # fmt: skip
        future = self._pipeline.submit(_SETTLE, keys_of(ask.organization_id), arguments)
        future.add_done_callback(_ignore_unavailable)

    def renew(self) -> None:
        """Renew the leases of every running request, and take back what was refused for want of an answer.

        Called every few seconds.
        """
        doubtful, self._doubtful = self._doubtful, []
        for ask in doubtful:
            arguments: tuple[Any, ...] = (self._epoch, ask.request_id, ask.key_id, 0, 0, 0, 0)
            future = self._pipeline.submit(_SETTLE, keys_of(ask.organization_id), arguments)
            future.add_done_callback(_ignore_unavailable)
        by_organization: dict[str, list[str]] = {}
        for request_id, hold in self._running.items():
            by_organization.setdefault(hold.ask.organization_id, []).append(request_id)
        for organization_id, requests in by_organization.items():
            for start in range(0, len(requests), 1000):
                arguments = (LEASE_MS, *requests[start : start + 1000])
                future = self._pipeline.submit(_RENEW, keys_of(organization_id)[2:3], arguments)
                future.add_done_callback(_ignore_unavailable)


def _ignore_unavailable(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def ensure_epoch(client: redis.Redis) -> Epoch:
    """Return the present epoch, starting a new one when this Valkey has lost its memory."""
    return _epoch(client, is_new=False)


def begin_epoch(client: redis.Redis) -> Epoch:
    """Start a new epoch, in which nothing counts that Valkey remembers."""
    return _epoch(client, is_new=True)


def _epoch(client: redis.Redis, *, is_new: bool) -> Epoch:
    run_id = str(client.info("server")["run_id"])
    name, now_ms = _EPOCH(client, [EPOCH_KEY], [run_id, int(is_new)])
    created_ms = int(name.decode().rsplit(":", 1)[1])
    return Epoch(name=name.decode(), age_s=max(0, int(now_ms) - created_ms) / 1000)


def publish(
    client: redis.Redis,
    *,
    epoch: Epoch,
    wallet: PublishedWallet,
    settled: Sequence[str] = (),
    spending: Spending | None = None,
    mark: str = "",
) -> bool:
    """Bring one wallet's balance to Valkey and drop the holds that are in it; safe in any order and twice.

    Only with a ``mark`` that Valkey still knows is a closed wallet opened; tells whether it took the balance.
    """
    arguments: list[str | int] = [
        epoch.name, wallet.version, min(wallet.balance_nano, _EXACT_NANOS), mark, len(settled), *settled,
    ]  # fmt: skip
    if spending is not None and spending.subjects:
        arguments += _periods(spending.at)
        for one in spending.subjects:
            arguments += [one.subject, one.day_nano, one.week_nano, one.month_nano, one.lifetime_nano]
    keys = [*keys_of(wallet.organization_id), _opening_of(wallet.organization_id)]
    return bool(_PUBLISH(client, keys, arguments) == 1)


def begin_opening(client: redis.Redis, organization_id: str) -> str:
    """Leave a mark in Valkey before anything is read that the opening of a wallet relies on.

    If it is gone when the wallet is to be opened, Valkey has lost its memory meanwhile, and with it what is held.
    """
    name = _opening_of(organization_id)
    client.set(name, secrets.token_hex(8), nx=True, ex=_OPENING_S)
    return (cast("bytes | None", client.get(name)) or b"-").decode()


def open_wallet(
    client: redis.Redis,
    *,
    epoch: Epoch,
    wallet: PublishedWallet,
    mark: str,
    spending: Spending | None = None,
) -> bool:
    """Make a wallet known to Valkey, once every shipper had time to register its holds; tells whether it is."""
    return publish(client, epoch=epoch, wallet=wallet, spending=spending, mark=mark)


def register(client: redis.Redis, *, epoch: Epoch, holds: Iterable[RegisteredHold]) -> None:
    """Put back the holds that a spool still knows, after Valkey lost its memory; safe twice."""
    by_organization: dict[str, list[RegisteredHold]] = {}
    for hold in holds:
        by_organization.setdefault(hold.organization_id, []).append(hold)
    for organization_id, group in by_organization.items():
        for start in range(0, len(group), 500):
            arguments: list[str | int] = [epoch.name, LEASE_MS]
            for hold in group[start : start + 500]:
                owners = f"{hold.key_id},{hold.member}" if hold.member else hold.key_id
                arguments += [hold.request_id, owners, hold.amount_nano, int(hold.is_running)]
            _REGISTER(client, keys_of(organization_id), arguments)


def end_dead(client: redis.Redis, organization_id: str) -> None:
    """Give back what is held by requests of dead gateways, as the organization's next request would."""
    _END_DEAD(client, keys_of(organization_id), ())


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """What Valkey knows of a wallet; ``running`` counts holds with a lease."""

    balance_nano: int
    held_nano: int
    running: int


def known_wallet(client: redis.Redis, organization_id: str) -> KnownWallet | None:
    """Return Valkey's view of one wallet, or ``None`` when it is not open there."""
    end_dead(client, organization_id)
    keys = keys_of(organization_id)
    pipeline = client.pipeline(transaction=True)
    pipeline.hmget(keys[0], "balance", "held")
    pipeline.zcard(keys[2])
    (balance, held), running = pipeline.execute()
    if balance is None:
        return None
    return KnownWallet(balance_nano=int(balance), held_nano=int(held or 0), running=running)


def known_held(client: redis.Redis, organization_id: str, subjects: Sequence[str]) -> list[int]:
    """Return what running requests of keys and members hold, and what they cost that is not settled yet, in nano-USD."""
    end_dead(client, organization_id)
    fields = [f"{subject}:held" for subject in subjects]
    held = cast("list[bytes | None]", client.hmget(keys_of(organization_id)[3], fields))
    return [max(0, int(one or 0)) for one in held]


def known_holds(client: redis.Redis, organization_id: str) -> dict[str, int]:
    """Return the amount of each hold that Valkey knows of one organization, for the audit."""
    end_dead(client, organization_id)
    entries = cast("dict[bytes, bytes]", client.hgetall(keys_of(organization_id)[1]))
    return {request.decode(): int(entry.split(b":", 1)[0]) for request, entry in entries.items()}
