"""Following one spool: which requests are open in it, what has ended, and how far it may be acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from billing.holds import RegisteredHold
from billing.settlement import interrupted
from billing.spool import Checkpoint, Intent, Position, Record, SpoolReader, Usage, Void

_CHUNK = 1000


@dataclass(slots=True)
class OpenRequest:
    """A request that has begun and not ended: its intent, its last checkpoint, the position before the intent."""

    intent: Intent
    before: Position
    checkpoint: Checkpoint | None = None

    @property
    def hold_nano(self) -> int:
        """What the request holds, as far as its spool knows, in nano-USD."""
        return self.checkpoint.hold_nano if self.checkpoint else self.intent.hold_nano


@dataclass(slots=True)
class Batch:
    """What ended in some spools and is to be settled: usage, and requests that left none (with their organizations).

    ``members`` are those that the holds of some requests count for, too.
    """

    usages: list[Usage] = field(default_factory=list)
    released: dict[str, str] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Tell whether there is nothing to settle."""
        return not self.usages and not self.released

    def ended_holds(self) -> Iterator[RegisteredHold]:
        """Yield the holds of requests that have ended and are not settled: their costs."""
        for usage in self.usages:
            yield RegisteredHold(
                usage.organization_id,
                usage.request_id,
                usage.key_id,
                usage.cost_nano,
                is_running=False,
                member=self.members.get(usage.request_id, ""),
            )


class Track:
    """One spool on its way to PostgreSQL."""

    def __init__(self, reader: SpoolReader) -> None:
        self.reader = reader
        self.open: dict[str, OpenRequest] = {}
        self.read_to = reader.acknowledged
        # Settled, but Valkey was away and may still hold money for it.
        self.is_unpublished = False
        # Its writer is gone and all of it was read: it can be removed once this is settled.
        self.is_over = False

    def read(self, batch: Batch, limit: int, *, at_ms: int) -> int:
        """Add up to ``limit`` further records to ``batch`` and return their number.

        At the end of an orphaned spool the requests still open in it are added as interrupted.
        """
        # Asked before reading: what a writer wrote before it died is then seen by this very read.
        is_orphaned = self.reader.is_orphaned()
        entries = self.reader.read(limit)
        for record, end in entries:
            self._follow(record, batch)
            self.read_to = end
        if is_orphaned and not entries:
            self._interrupt_open(batch, at_ms)
        return len(entries)

    def _follow(self, record: Record, batch: Batch) -> None:
        if isinstance(record, Intent):
            self.open[record.request_id] = OpenRequest(record, before=self.read_to)
        elif isinstance(record, Checkpoint):
            if record.request_id in self.open:
                self.open[record.request_id].checkpoint = record
        elif isinstance(record, Void):
            ended = self.open.pop(record.request_id, None)
            if ended is not None:
                batch.released[record.request_id] = ended.intent.organization_id
        else:
            ended = self.open.pop(record.request_id, None)
            batch.usages.append(record)
            if ended is not None and ended.intent.member:
                batch.members[record.request_id] = ended.intent.member

    def _interrupt_open(self, batch: Batch, at_ms: int) -> None:
        batch.members |= {
            request: one.intent.member for request, one in self.open.items() if one.intent.member
        }
        batch.usages += [interrupted(one.intent, one.checkpoint, at_ms=at_ms) for one in self.open.values()]
        self.open.clear()
        self.is_over = True

    def acknowledge(self) -> None:
        """Note that all that was read is in PostgreSQL; an open intent and what follows it stays to be read again."""
        position = min([self.read_to, *(one.before for one in self.open.values())])
        if position > self.reader.acknowledged:
            self.reader.acknowledge(position)

    def rewind(self) -> None:
        """Read again what is not acknowledged."""
        self.reader.rewind()
        # No acknowledgement passes an open intent, so every open request is met again.
        self.open.clear()
        self.read_to = self.reader.acknowledged
        self.is_unpublished = self.is_over = False

    def unread(self) -> Iterator[RegisteredHold]:
        """Go through what was not read yet and yield what ended there, then what is running now."""
        ahead = Track(SpoolReader(self.reader.folder))
        ahead.open = {
            request: OpenRequest(one.intent, one.before, one.checkpoint) for request, one in self.open.items()
        }
        while entries := ahead.reader.read(_CHUNK):
            batch = Batch()
            for record, end in entries:
                if end > self.read_to:
                    ahead._follow(record, batch)
            yield from batch.ended_holds()
        for one in ahead.open.values():
            intent = one.intent
            yield RegisteredHold(
                intent.organization_id,
                intent.request_id,
                intent.key_id,
                one.hold_nano,
                is_running=True,
                member=intent.member,
            )
