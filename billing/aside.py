"""Setting money aside: what is about to leave a wallet by another way than usage is held first.

Between the moment PostgreSQL takes the money and the moment Valkey hears of it, a request could still be admitted on
it. A hold closes that gap; it ends with the publication of the new balance, or by itself with its lease.
"""

from __future__ import annotations

import redis

from billing import admission, holds
from fastanchor.lib.valkey import Script, sync_client

_SET_ASIDE = Script((holds.LUA / "set_aside.lua").read_text(encoding="utf-8"))


class NotLeft(Exception):
    """Less is left than was to be set aside, or Valkey cannot tell what is left."""


def set_aside(*, organization_id: str, name: str, amount_nano: int) -> None:
    """Hold an amount under a name; the wallet's row must be locked. Raises ``NotLeft``.

    The lock keeps a wallet that is unknown to Valkey from being opened there with a balance of before. While PostgreSQL
    stands in for Valkey nothing is set aside.
    """
    if admission.is_degraded():
        raise NotLeft
    try:
        client = sync_client()
        epoch = holds.ensure_epoch(client)
        holds.end_dead(client, organization_id)
        arguments = (epoch.name, name, amount_nano, holds.LEASE_MS)
        is_held = _SET_ASIDE(client, holds.keys_of(organization_id), arguments)
    except redis.RedisError as exc:
        raise NotLeft from exc
    if not is_held:
        raise NotLeft
