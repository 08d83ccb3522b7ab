"""What a settlement tells Valkey: new balances, ended holds, and the requests a live page wants to show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import redis
from redis.exceptions import NoScriptError

from billing import holds
from billing.settlement import Settlement

_CHUNK = 500
# Each call sends exactly one command.
Call = Callable[[redis.Redis], object]


def live_channel(organization_id: str) -> str:
    """Return the channel on which new usage records are told, each message a JSON list of request ids."""
    return f"fa:live:{organization_id}"


def publish(client: redis.Redis, *, epoch: holds.Epoch, settlements: Iterable[Settlement]) -> None:
    """Bring settled balances to Valkey and drop the holds that are in them; raises ``RedisError``."""
    send(client, [_balance_call(epoch, one) for one in settlements])


def announce_live(client: redis.Redis, settlements: Iterable[Settlement]) -> None:
    """Tell the live pages which requests have just become usage records; raises ``RedisError``."""
    pipeline = client.pipeline(transaction=False)
    for one in settlements:
        if one.inserted:
            pipeline.publish(live_channel(one.wallet.organization_id), json.dumps(one.inserted))
    pipeline.execute()


def register(client: redis.Redis, *, epoch: holds.Epoch, registered: Iterable[holds.RegisteredHold]) -> int:
    """Register holds again after a loss of Valkey's memory; returns how many. Raises ``RedisError``."""
    by_organization: dict[str, list[holds.RegisteredHold]] = {}
    for hold in registered:
        if hold.amount_nano > 0:
            by_organization.setdefault(hold.organization_id, []).append(hold)
    calls = [
        _register_call(epoch, group[start : start + _CHUNK])
        for group in by_organization.values()
        for start in range(0, len(group), _CHUNK)
    ]
    send(client, calls)
    return sum(map(len, by_organization.values()))


def send(client: redis.Redis, calls: Sequence[Call]) -> None:
    """Make script calls in one round trip; a server that has forgotten a script gets them again, one by one."""
    pipeline = client.pipeline(transaction=False)
    for call in calls:
        call(pipeline)
    for call, answer in zip(calls, pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(answer, NoScriptError):
            call(client)
        elif isinstance(answer, Exception):
            raise answer


def _balance_call(epoch: holds.Epoch, one: Settlement) -> Call:
    return lambda client: holds.publish(
        client, epoch=epoch, wallet=one.wallet, settled=one.ended, spending=one.spending
    )


def _register_call(epoch: holds.Epoch, group: Sequence[holds.RegisteredHold]) -> Call:
    return lambda client: holds.register(client, epoch=epoch, holds=group)
