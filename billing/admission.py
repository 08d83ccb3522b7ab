"""Which store decides holds, Valkey or PostgreSQL, and how all processes change over together.

There are *periods*. In each of them one store decides; PostgreSQL knows which (``models.Admission``), and every gateway
process follows within a second (``billing.stand_in``).

- A period of PostgreSQL opens once every process that may still place holds in Valkey follows it and has told what it
  holds, and once every shipper has told what its spools know beyond that. So whatever is held, or spent and not yet
  settled, has a row in ``DegradedHold``; a settlement deletes the row in the transaction that moves the balance.
- When Valkey is back, a fresh epoch begins there, and wallets are opened in it with the rows of their holds.
- A process that PostgreSQL has not heard of for ``LOST_S`` places no holds any more, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from billing import holds
from billing.models import Admission, DegradedHold, GatewayProcess, Wallet
from billing.store import LOST_S, Mode
from fastanchor.lib.valkey import sync_client

# What is announced in Valkey: that processes should ask PostgreSQL which store decides.
TOPIC = "admission"
# Beyond ``LOST_S``: how long a request that was let in just before may take to place its hold.
_GONE_S = LOST_S + 60
# Every process that answers is heard of so often.
_HEARD_S = 10
# A period of PostgreSQL that has not opened in this time is given up when Valkey answers.
_PATIENCE_S = 10
# Shared by who places a hold, exclusive for who ends the period.
TURN_LOCK = 7_036_001

_OPEN = """
UPDATE billing_admission AS mode SET is_open = true
WHERE is_degraded AND NOT is_open
  AND NOT EXISTS (SELECT FROM billing_gatewayprocess AS process LEFT JOIN billing_spoolhost AS host USING (host)
                  WHERE process.seen_at > now() - make_interval(secs => %(gone_s)s)
                    AND (process.period < mode.period OR host.period IS NULL OR host.period < mode.period))
  AND NOT EXISTS (SELECT FROM billing_spoolhost WHERE period < mode.period
                    AND seen_at > now() - make_interval(secs => %(gone_s)s))
"""
# One statement, for every process asks it for as long as it lives. A row that is written now is read as it was before.
_BEAT = """
WITH written AS (
    UPDATE billing_gatewayprocess SET seen_at = now(), period = %(period)s, valkey_answers = %(answers)s,
        placed = %(placed)s, refused = %(refused)s
    WHERE spool = %(spool)s AND (seen_at < now() - interval '4 seconds' OR period <> %(period)s
        OR valkey_answers <> %(answers)s OR placed <> %(placed)s OR refused <> %(refused)s)
    RETURNING spool)
SELECT mode.period, is_degraded, is_open,
       CASE WHEN EXISTS (SELECT FROM written) THEN 0
            ELSE greatest(extract(epoch FROM now() - mine.seen_at), 0) END::float8,
       peers.count, peers.before
FROM billing_admission AS mode JOIN billing_gatewayprocess AS mine ON mine.spool = %(spool)s
CROSS JOIN LATERAL (SELECT count(*) AS count, count(*) FILTER (WHERE spool < mine.spool) AS before
                    FROM billing_gatewayprocess
                    WHERE seen_at > now() - make_interval(secs => %(gone_s)s) OR spool = mine.spool) AS peers
"""


def current() -> Admission:
    """Return which store decides now."""
    return Admission.objects.filter(pk=1).first() or _first()


def _first() -> Admission:
    Admission.objects.bulk_create([Admission()], ignore_conflicts=True)
    return Admission.objects.get(pk=1)


def is_degraded() -> bool:
    """Tell whether PostgreSQL stands in for Valkey now."""
    return Admission.objects.filter(pk=1, is_degraded=True).exists()


# The gateway's side.


def beat(spool: str, host: str, facts: dict[str, int | bool]) -> Mode:
    """Tell of a process that it is alive, and ``facts`` of it, and return which store decides."""
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, {"spool": spool, "gone_s": _GONE_S, **facts})
        found = cursor.fetchone()
        if found is not None and found[1] and not found[2]:
            cursor.execute(_OPEN, {"gone_s": _GONE_S})
            if cursor.rowcount:
                return beat(spool, host, facts)
    if found is None:
        _first()
        GatewayProcess.objects.bulk_create([GatewayProcess(spool=spool, host=host)], ignore_conflicts=True)
        return beat(spool, host, facts)
    period, degraded, is_open, seen_ago_s, processes, before = found
    return Mode(
        period=period,
        is_degraded=degraded,
        is_open=is_open,
        processes=processes,
        rank=before,
        seen_ago_s=seen_ago_s,
    )


def enter(period: int) -> None:
    """Let PostgreSQL decide, because Valkey is away; nothing if that, or another period, has begun already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_admission SET is_degraded = true, is_open = false, period = period + 1, since = now(), "
            "complete_epoch = '' WHERE period = %s AND NOT is_degraded",
            [period],
        )


def leave(period: int) -> None:
    """Let Valkey decide again, once every process reaches it; raises ``RedisError``."""
    if _ripe(period) is None:
        return
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN_LOCK])
        is_open = _ripe(period)
        if is_open is None:
            return
        # Under the lock: nobody places a hold here any more, and nobody opens a wallet there yet.
        epoch = holds.begin_epoch(sync_client())
        cursor.execute(
            "UPDATE billing_admission SET is_degraded = false, is_open = false, period = period + 1, since = now(), "
            "complete_epoch = %s WHERE period = %s",
            [epoch.name if is_open else "", period],
        )


def _ripe(period: int) -> bool | None:
    """Return, of a period that may end, whether it has opened; ``None`` when it may not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT is_open FROM billing_admission WHERE period = %s AND is_degraded "
            "AND (is_open OR since < now() - make_interval(secs => %s)) "
            "AND NOT EXISTS (SELECT FROM billing_gatewayprocess WHERE NOT valkey_answers "
            "AND seen_at > now() - make_interval(secs => %s))",
            [period, _PATIENCE_S, _HEARD_S],
        )
        found = cursor.fetchone()
    return None if found is None else bool(found[0])


def follow(spool: str, period: int, running: Sequence[holds.RegisteredHold]) -> None:
    """Tell all that a process holds, for it places no more holds in Valkey; from then on the period counts it in."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        if not Admission.objects.filter(pk=1, period=period).exists():
            return
        _write(cursor, spool, running, on_conflict="amount_nano = EXCLUDED.amount_nano")
        cursor.execute(
            "UPDATE billing_gatewayprocess SET period = %s, seen_at = now() WHERE spool = %s", [period, spool]
        )


# The shipper's side.


def wanted_of(host: str, dead: Collection[str]) -> int:
    """Tell of a host that its shipper is alive and which of its processes are dead.

    Returns the period for which it shall tell what its spools know, or 0: its processes come first, for what they end
    until they follow is in the spools.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_spoolhost (host, seen_at, period) VALUES (%s, now(), 0) ON CONFLICT (host) "
            "DO UPDATE SET seen_at = now() WHERE billing_spoolhost.seen_at < now() - interval '4 seconds'",
            [host],
        )
        # What a dead one holds is told below, from its spool.
        cursor.execute(
            "DELETE FROM billing_gatewayprocess WHERE host = %s AND spool = ANY(%s)", [host, list(dead)]
        )
        cursor.execute(
            "SELECT mode.period FROM billing_admission AS mode JOIN billing_spoolhost AS mine ON mine.host = %s "
            "WHERE is_degraded AND mine.period < mode.period AND NOT EXISTS (SELECT FROM billing_gatewayprocess AS one "
            "WHERE one.host = mine.host AND one.period < mode.period "
            "AND one.seen_at > now() - make_interval(secs => %s))",
            [host, _GONE_S],
        )
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def tell(host: str, period: int, known: Iterable[tuple[str, holds.RegisteredHold]]) -> None:
    """Tell all that the spools of a host know and is not settled, each hold with the name of its spool."""
    by_spool: dict[str, list[holds.RegisteredHold]] = {}
    for spool, hold in known:
        by_spool.setdefault(spool, []).append(hold)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        for spool, group in by_spool.items():
            # A process knows its own holds better than its spool does: those grow between two checkpoints.
            _write(
                cursor,
                spool,
                group,
                on_conflict="amount_nano = greatest(own.amount_nano, EXCLUDED.amount_nano)",
            )
        cursor.execute(
            "UPDATE billing_spoolhost SET period = %s, seen_at = now() WHERE host = %s", [period, host]
        )


def forget(spool: str) -> None:
    """Drop what a dead process held without having asked an upstream: its spool is settled to its end."""
    DegradedHold.objects.filter(spool=spool).delete()
    GatewayProcess.objects.filter(spool=spool).delete()


def settled(request_ids: Collection[str]) -> None:
    """Drop the holds of requests that are settled in this very transaction."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_degradedhold WHERE request_id = ANY(%s)", [list(request_ids)])


def of_organization(organization_id: str) -> list[holds.RegisteredHold]:
    """Return the holds of one organization that PostgreSQL knows; its wallet is locked."""
    return [
        holds.RegisteredHold(
            organization_id,
            one.request_id,
            one.key_id,
            one.amount_nano,
            is_running=one.is_running,
            member=one.member,
        )
        for one in DegradedHold.objects.filter(organization_id=organization_id).order_by("pk")
    ]


def _write(
    cursor: CursorWrapper, spool: str, group: Sequence[holds.RegisteredHold], *, on_conflict: str
) -> None:
    """Write rows of holds, but for requests that are settled; the locks keep any from being settled meanwhile."""
    if not group:
        return
    owners = sorted({hold.organization_id for hold in group})
    list(Wallet.objects.select_for_update().filter(pk__in=owners).order_by("pk").values_list("pk"))
    cursor.execute(
        f"""
        INSERT INTO billing_degradedhold AS own
            (request_id, organization_id, key_id, member, amount_nano, spool, is_running)
        SELECT request, organization, key, member, amount, %s, running
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::boolean[])
            AS told (request, organization, key, member, amount, running)
        WHERE NOT EXISTS (SELECT FROM billing_usagerecord WHERE request_id = request AND organization_id = organization)
        ORDER BY request
        ON CONFLICT (request_id) DO UPDATE SET {on_conflict}
        """,  # noqa: S608 - one of the two texts above
        [
            spool,
            [hold.request_id for hold in group],
            [hold.organization_id for hold in group],
            [hold.key_id for hold in group],
            [hold.member for hold in group],
            [hold.amount_nano for hold in group],
            [hold.is_running for hold in group],
        ],
    )
