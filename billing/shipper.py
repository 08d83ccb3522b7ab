"""The shipper: one per host, it carries what the gateway's spools hold to PostgreSQL and tells Valkey.

One round: find spools; look after Valkey's epoch; read what ended; settle it in one transaction; publish balances;
acknowledge; tell the live pages. Each step may be repeated: whatever dies in between, the next round finds the same
records and counts them once. Acknowledging comes after publishing, so that no ended hold is ever forgotten.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import redis
from django.conf import settings
from django.db import DataError, Error, IntegrityError, close_old_connections
from redis.exceptions import RedisError

from accounts import keys
from billing import admission, announcements, dead_letters, holds, tally
from billing.settlement import Settlement, settle_batch
from billing.spool import Usage, host_of, mark_registered, spools
from billing.track import Batch, Track
from fastanchor.lib import changes

logger = logging.getLogger(__name__)

POLL_S = 0.1
BATCH_RECORDS = 1000
_LONGEST_BACKOFF_S = 5.0
_EPOCH_CHECK_S = 0.25
_VALKEY_PAUSE_S = 1.0
_TOUCH_S = 1.0
_REPORT_S = 10.0
_WAITING_S = 5.0
_LONGEST_LAG_MS = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A record that PostgreSQL or Python refuses for what it says, not for the state of the world.
_POISON = (DataError, IntegrityError, ValueError, OverflowError)
_REGISTER_CHUNK = 5000


class Shipper:
    """Works through all spools under one folder; used from one thread."""

    def __init__(self, root: Path, client: redis.Redis) -> None:
        self._root = root
        self._client = client
        self._tracks: dict[str, Track] = {}
        self._batch = Batch()
        self._epoch: holds.Epoch | None = None
        self._registered = ""
        self._epoch_checked_at = float("-inf")
        self._admission_checked_at = float("-inf")
        self._used_at_ms: dict[str, int] = {}
        self._touched_at = float("-inf")
        self._told_waiting_at = float("-inf")
        self._report = _Report()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; faults of PostgreSQL, Valkey and the disk are waited out."""
        lock = _lock(self._root, stop)
        failures = 0
        while not stop.is_set():
            try:
                count = self.step()
                failures = 0
            except Error as exc:
                count, failures = 0, failures + 1
                logger.warning("shipper.postgresql_away", extra={"error": str(exc), "failures": failures})
                close_old_connections()
            except Exception:
                count, failures = 0, failures + 1
                logger.exception("shipper.round_failed", extra={"failures": failures})
            if count < BATCH_RECORDS:
                self._pause(stop, min(POLL_S * 2**failures, _LONGEST_BACKOFF_S))
        os.close(lock)

    def _pause(self, stop: threading.Event, seconds: float) -> None:
        self._tell_waiting()
        # Valkey may lose its memory while PostgreSQL is away: holds are registered in time all the same.
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not stop.wait(min(left, _EPOCH_CHECK_S)):
            self._watch_epoch()

    def step(self) -> int:
        """Make one round and return the number of records read; raises what keeps it from settling."""
        self._find_spools()
        self._watch_admission()
        self._watch_epoch()
        count = self._read() if self._batch.is_empty() else 0
        if not self._batch.is_empty():
            settlements = self._settle(self._batch.usages, self._batch.released)
            self._publish(settlements)
            self._note(self._batch.usages)
            self._batch = Batch()
        self._acknowledge()
        self._touch()
        self._tell_waiting()
        self._report.write()
        return count

    def _find_spools(self) -> None:
        found = {reader.name: reader for reader in spools(self._root)}
        for name in self._tracks.keys() - found.keys():
            del self._tracks[name]
        for name in found.keys() - self._tracks.keys():
            self._tracks[name] = Track(found[name])

    def _read(self) -> int:
        count, at_ms = 0, time.time_ns() // 1_000_000
        for name, track in self._tracks.items():
            if count >= BATCH_RECORDS or track.is_over:
                continue
            with _skipping_unreadable(name):
                count += track.read(self._batch, BATCH_RECORDS - count, at_ms=at_ms)
        # The first of this round is the last of the next: a busy spool starves nobody.
        for name in list(self._tracks)[:1]:
            self._tracks[name] = self._tracks.pop(name)
        return count

    def _settle(self, usages: Sequence[Usage], released: dict[str, str]) -> list[Settlement]:
        """Settle a batch; one that holds poison is halved until the culprit is alone."""
        try:
            return settle_batch(usages, released=released)
        except _POISON as exc:
            if len(usages) > 1:
                middle = len(usages) // 2
                return [*self._settle(usages[:middle], {}), *self._settle(usages[middle:], released)]
            return self._bury(usages, released, exc)

    def _bury(self, usages: Sequence[Usage], released: dict[str, str], exc: Exception) -> list[Settlement]:
        if not usages:
            logger.error("shipper.release_failed", extra={"requests": len(released)}, exc_info=exc)
            return []
        logger.error("shipper.dead_letter", extra={"request": usages[0].request_id}, exc_info=exc)
        dead_letters.bury(usages[0], error=exc)
        return self._settle([], released | {usages[0].request_id: usages[0].organization_id})

    def _publish(self, settlements: Sequence[Settlement]) -> None:
        if self._epoch is None:
            self._keep_for_later()
            return
        try:
            # Asked again: settling may have taken long, and to an epoch that is over nothing can be told.
            epoch = holds.ensure_epoch(self._client)
            announcements.publish(self._client, epoch=epoch, settlements=settlements)
            announcements.announce_live(self._client, settlements)
        except RedisError as exc:
            self._lose_valkey(exc)
            self._keep_for_later()

    def _keep_for_later(self) -> None:
        for track in self._tracks.values():
            track.is_unpublished = True

    def _acknowledge(self) -> None:
        for name, track in list(self._tracks.items()):
            if track.is_unpublished:
                continue
            track.acknowledge()
            if track.is_over:
                admission.forget(name)
                track.reader.remove()
                del self._tracks[name]
                logger.info("shipper.orphan_finished", extra={"spool": name})

    # What follows keeps Valkey's view whole when Valkey comes and goes.

    def _watch_epoch(self) -> None:
        now = time.monotonic()
        if now < self._epoch_checked_at + (_EPOCH_CHECK_S if self._epoch else _VALKEY_PAUSE_S):
            return
        self._epoch_checked_at = now
        try:
            self._epoch = holds.ensure_epoch(self._client)
            self._meet_epoch(self._epoch)
        except RedisError as exc:
            self._lose_valkey(exc)

    def _lose_valkey(self, exc: RedisError) -> None:
        logger.warning("shipper.valkey_away", extra={"error": type(exc).__name__})
        self._epoch = None
        self._epoch_checked_at = time.monotonic()

    def _meet_epoch(self, epoch: holds.Epoch) -> None:
        if epoch.name == self._registered:
            self._read_unpublished_again()
        elif epoch.age_s >= settings.HOLD_REBUILD_GRACE_S / 2:
            # By now every request admitted in the old epoch has its intent in a spool.
            self._register(epoch)

    def _read_unpublished_again(self) -> None:
        if not self._batch.is_empty():
            return
        for track in self._tracks.values():
            if track.is_unpublished:
                track.rewind()

    def _register(self, epoch: holds.Epoch) -> None:
        count, chunk = 0, []
        for _, hold in self._unsettled_holds():
            chunk.append(hold)
            if len(chunk) == _REGISTER_CHUNK:
                count += announcements.register(self._client, epoch=epoch, registered=chunk)
                chunk = []
        count += announcements.register(self._client, epoch=epoch, registered=chunk)
        # What was settled and not published is told from the next round on: it may have been put back by another way.
        self._registered = epoch.name
        mark_registered(self._root, epoch.name)
        logger.info("shipper.holds_registered", extra={"epoch": epoch.name, "holds": count})

    def _unsettled_holds(self) -> Iterator[tuple[str, holds.RegisteredHold]]:
        """Yield what is held by what is not settled, with the name of its spool; empty for what was read already."""
        yield from (("", hold) for hold in self._batch.ended_holds())
        for name, track in self._tracks.items():
            with _skipping_unreadable(name):
                yield from ((name, hold) for hold in track.unread())

    # What follows tells PostgreSQL what it must know to stand in for Valkey.

    def _watch_admission(self) -> None:
        now = time.monotonic()
        if now < self._admission_checked_at + _EPOCH_CHECK_S:
            return
        self._admission_checked_at = now
        host = host_of(self._root)
        period = admission.wanted_of(
            host, [name for name, one in self._tracks.items() if one.reader.is_orphaned()]
        )
        if period:
            known = [(name, hold) for name, hold in self._unsettled_holds() if hold.amount_nano > 0]
            admission.tell(host, period, known)
            logger.warning("shipper.holds_told", extra={"period": period, "holds": len(known)})
        self._call_others()

    def _call_others(self) -> None:
        """Tell processes that still reach Valkey, and so ask PostgreSQL seldom, that another one does not."""
        mode = admission.current()
        if mode.is_degraded and not mode.is_open:
            with contextlib.suppress(RedisError):
                changes.announce(self._client, admission.TOPIC, str(mode.period))

    # What follows only informs.

    def _note(self, usages: Sequence[Usage]) -> None:
        for usage in usages:
            self._used_at_ms[usage.key_id] = max(usage.started_at_ms, self._used_at_ms.get(usage.key_id, 0))
        self._report.add(usages)
        # Where Valkey is known to be away, settling must not wait for it.
        if self._epoch is None:
            return
        with contextlib.suppress(RedisError):
            tally.add(self._client, host_of(self._root), usages)

    def _tell_waiting(self) -> None:
        now = time.monotonic()
        if self._epoch is None or now < self._told_waiting_at + _WAITING_S:
            return
        self._told_waiting_at = now
        with contextlib.suppress(RedisError):
            tally.wait(self._client, host_of(self._root), self._batch.usages)

    def _touch(self) -> None:
        now = time.monotonic()
        if not self._used_at_ms or now < self._touched_at + _TOUCH_S:
            return
        self._touched_at = now
        used, self._used_at_ms = self._used_at_ms, {}
        try:
            keys.touch({key_id: _EPOCH + timedelta(milliseconds=at_ms) for key_id, at_ms in used.items()})
        except (Error, ValueError, OverflowError) as exc:
            logger.warning("shipper.touch_failed", extra={"error": type(exc).__name__})


class _Report:
    """Says now and then how much was settled and how long it had waited."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._requests = 0
        self._lag_ms = 0

    def add(self, usages: Sequence[Usage]) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._requests += len(usages)
        self._lag_ms = max([self._lag_ms, *(now_ms - usage.finished_at_ms for usage in usages)])

    def write(self) -> None:
        if not self._requests or time.monotonic() < self._since + _REPORT_S:
            return
        level = logging.WARNING if self._lag_ms > _LONGEST_LAG_MS else logging.INFO
        logger.log(level, "shipper.settled", extra={"requests": self._requests, "lag_ms": self._lag_ms})
        self._since, self._requests, self._lag_ms = time.monotonic(), 0, 0


@contextlib.contextmanager
def _skipping_unreadable(name: str) -> Iterator[None]:
    """Keep a record that this version cannot read from holding up every other spool; it stays where it is."""
    try:
        yield
    except msgspec.MsgspecError:
        logger.exception("shipper.unreadable_record", extra={"spool": name})


def _lock(root: Path, stop: threading.Event) -> int:
    """Wait until no other shipper of this host works on these spools, or until told to stop."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(root / "shipper.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    is_waiting = False
    while not stop.is_set():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_waiting:
                logger.info("shipper.waiting_for_another")
            is_waiting = True
            stop.wait(POLL_S)
        else:
            break
    return file
