"""The spool: a gateway process's local, append-only file of intents and usage not yet in PostgreSQL.

A record costs one write(2), which survives the death of the process. Segments are allocated in advance, so a full
disk refuses new requests instead of losing the record of an accepted one. Layout of a spool's folder::

    lock            held (flock) by the writer as long as it lives
    00000001.seg    records: length and CRC-32 as two little-endian 32-bit numbers, then msgpack; zeros after the last
    ack             segment and offset up to which everything is in PostgreSQL, with a CRC-32

The records hold numbers and ids, never a prompt or a completion.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from billing.attempts import AttemptMade, Considered
from fastanchor.lib.ids import new_id

SEGMENT_BYTES = 4 * 1024 * 1024
_HEAD = struct.Struct("<II")
_ACK = struct.Struct("<QQI")
_REGISTERED = "epoch"
_HOST = "host"


class SpoolFull(Exception):
    """The disk has no room for another segment; no request may be accepted."""


class Intent(msgspec.Struct, tag="I", array_like=True, frozen=True, gc=False):
    """Written before the upstream bytes leave: this request may be billed."""

    request_id: str
    organization_id: str
    key_id: str
    model_id: str
    provider_id: str
    channel_id: str
    price_id: str
    started_at_ms: int
    is_stream: bool
    hold_nano: int
    # What the request would cost if it ended now: the estimated input.
    cost_nano: int
    # Appended with a default, as below: the member that the hold counts for, where it has a budget.
    member: str = ""
    is_own_key: bool = False


class Checkpoint(msgspec.Struct, tag="C", array_like=True, frozen=True, gc=False):
    """Written while a stream runs: how far it has come, and what it holds."""

    request_id: str
    hold_nano: int
    cost_nano: int
    output_tokens: int


class Void(msgspec.Struct, tag="V", array_like=True, frozen=True, gc=False):
    """The request ended and no upstream billed anything; written by gateways from before every request had a record."""

    request_id: str


class Usage(msgspec.Struct, tag="U", array_like=True, frozen=True, gc=False):
    """The request ended: the whole of its usage record."""

    request_id: str
    organization_id: str
    key_id: str
    model_id: str
    provider_id: str
    channel_id: str
    price_id: str
    started_at_ms: int
    finished_at_ms: int
    # Milliseconds from start to the first token; -1 when there was none.
    first_token_ms: int
    is_stream: bool
    outcome: str
    status: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_picos: int
    cost_nano: int
    hold_nano: int
    is_estimated: bool
    attempts: int
    finish_reason: str
    error_code: str
    upstream_id: str
    # Appended with defaults, so that a shipper reads what an older gateway wrote.
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    images: int = 0
    searches: int = 0
    characters: int = 0
    seconds: int = 0
    # In order; empty where the model's own provider served at once.
    attempts_made: tuple[AttemptMade, ...] = ()
    # What there was to choose from, where a channel failed or was passed over; empty otherwise.
    considered: tuple[Considered, ...] = ()
    # The channel that was asked last is the customer's own, who pays its provider.
    is_own_key: bool = False

    def all_attempts(self) -> tuple[AttemptMade, ...]:
        """Return the attempts in order, also the only one that served at once; empty where they are not known."""
        if self.attempts_made or self.attempts != 1 or self.status != 200:
            return self.attempts_made
        ms = self.finished_at_ms - self.started_at_ms if self.first_token_ms < 0 else self.first_token_ms
        return (AttemptMade(self.provider_id, self.channel_id, self.status, "", ms),)


Record = Intent | Checkpoint | Void | Usage


class Position(NamedTuple):
    """A place in a spool: the number of a segment and a byte offset in it."""

    segment: int
    offset: int


class Entry(NamedTuple):
    """A record and the position after it."""

    record: Record
    end: Position


def _segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.seg"


class Spool:
    """The writer; one per gateway process, used from one thread."""

    def __init__(self, folder: Path, lock: int, *, segment_bytes: int) -> None:
        self.folder = folder
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._number = 1
        self._offset = 0
        self._file = self._allocate(1)
        self._spare: int | None = None

    @classmethod
    def create(cls, root: Path, *, segment_bytes: int = SEGMENT_BYTES) -> Spool:
        """Make a new spool under ``root`` and lock it; raises ``SpoolFull``."""
        # The lock is taken in a folder that readers do not look at, then renamed: a reader never sees it unlocked.
        name = new_id("spool")
        hidden = root / f".{name}"
        hidden.mkdir(parents=True, mode=0o700)
        lock = os.open(hidden / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (hidden / "ack").write_bytes(bytes(2 * _ACK.size))
        spool = cls(hidden, lock, segment_bytes=segment_bytes)
        spool.folder = hidden.rename(root / name)
        return spool

    def _allocate(self, number: int) -> int:
        path = _segment_path(self.folder, number)
        try:
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            os.posix_fallocate(file, 0, self._segment_bytes)
        except OSError as exc:
            with contextlib.suppress(OSError):
                path.unlink()
            raise SpoolFull from exc
        return file

    def make_room(self) -> None:
        """Make sure that what a new request will write has room; raises ``SpoolFull``."""
        if self._spare is None and self._offset * 2 > self._segment_bytes:
            self._spare = self._allocate(self._number + 1)

    def append(self, record: Record) -> None:
        """Write one record; it survives the death of this process from here on."""
        payload = self._encoder.encode(record)
        blob = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        if self._offset + len(blob) > self._segment_bytes:
            self._next_segment()
        os.pwrite(self._file, blob, self._offset)
        self._offset += len(blob)

    def _next_segment(self) -> None:
        following = self._spare if self._spare is not None else self._allocate(self._number + 1)
        os.close(self._file)
        self._file, self._spare = following, None
        self._number += 1
        self._offset = 0

    def close(self) -> None:
        """Let go of the spool; a reader may finish and remove it."""
        os.close(self._file)
        if self._spare is not None:
            os.close(self._spare)
        os.close(self._lock)


class SpoolReader:
    """Reads one spool from where PostgreSQL has acknowledged it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.acknowledged, self._slot = self._read_ack()
        self._next = self.acknowledged
        self._decoder = msgspec.msgpack.Decoder(Record)

    def _read_ack(self) -> tuple[Position, int]:
        """Return the later of the two positions that stand there whole, and in which slot."""
        found = [(Position(1, 0), 1)]
        with contextlib.suppress(FileNotFoundError):
            raw = (self.folder / "ack").read_bytes()
            for slot in range(len(raw) // _ACK.size):
                segment, offset, checksum = _ACK.unpack_from(raw, slot * _ACK.size)
                if zlib.crc32(raw[slot * _ACK.size :][:16]) == checksum:
                    found.append((Position(segment, offset), slot))
        return max(found)

    def read(self, limit: int) -> list[Entry]:
        """Return up to ``limit`` records after the last one read; empty when there is none yet."""
        entries: list[Entry] = []
        while len(entries) < limit:
            found = self._read_segment(limit - len(entries))
            entries.extend(found)
            if found:
                continue
            if not _segment_path(self.folder, self._next.segment + 1).exists() or not self._segment_is_over():
                break
            self._next = Position(self._next.segment + 1, 0)
        return entries

    def _segment_is_over(self) -> bool:
        # A spare segment exists before it is used: the present one is over when the next holds a record.
        following = _segment_path(self.folder, self._next.segment + 1)
        with following.open("rb") as file:
            head = file.read(_HEAD.size)
        # Empty in the moment between its creation and its allocation.
        if len(head) < _HEAD.size or not _HEAD.unpack(head)[0]:
            return False
        # The writer may have appended here between our read and its move: look once more.
        return not self._peek()

    def _peek(self) -> bool:
        with _segment_path(self.folder, self._next.segment).open("rb") as file:
            file.seek(self._next.offset)
            return _parse(file.read(_HEAD.size + 65_536), 0) is not None

    def _read_segment(self, limit: int) -> list[Entry]:
        path = _segment_path(self.folder, self._next.segment)
        try:
            with path.open("rb") as file:
                file.seek(self._next.offset)
                blob = file.read(limit * 1024)
        except FileNotFoundError:
            return []
        entries: list[Entry] = []
        offset = 0
        while len(entries) < limit and (parsed := _parse(blob, offset)) is not None:
            payload, offset = parsed
            self._next = Position(self._next.segment, self._next.offset + _HEAD.size + len(payload))
            entries.append(Entry(self._decoder.decode(payload), self._next))
        return entries

    def rewind(self) -> None:
        """Read again from what is acknowledged, after a failure."""
        self._next = self.acknowledged

    def acknowledge(self, position: Position) -> None:
        """Note that everything before ``position`` is in PostgreSQL, and drop the segments before it."""
        raw = struct.pack("<QQ", *position)
        # By turns in two places of one file, so that it takes no room: on a full disk this is what makes some.
        self._slot = 1 - self._slot
        blob = raw + struct.pack("<I", zlib.crc32(raw))
        _overwrite(self.folder / "ack", blob, offset=self._slot * _ACK.size, size=2 * _ACK.size)
        for number in range(self.acknowledged.segment, position.segment):
            _segment_path(self.folder, number).unlink(missing_ok=True)
        self.acknowledged = position

    def is_orphaned(self) -> bool:
        """Tell whether the writer is gone."""
        try:
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(lock)

    def remove(self) -> None:
        """Delete the spool; only for an orphaned one that is acknowledged to its end."""
        # The last segment goes first and what says where to read goes last: a shipper that dies here leaves a spool
        # in which the next one finds nothing to read.
        for segment in sorted(self.folder.glob("*.seg"), reverse=True):
            segment.unlink()
        shutil.rmtree(self.folder)


def _parse(blob: bytes, offset: int) -> tuple[bytes, int] | None:
    """Return the payload at ``offset`` and the offset after it; ``None`` at zeros or a torn tail."""
    if offset + _HEAD.size > len(blob):
        return None
    length, checksum = _HEAD.unpack_from(blob, offset)
    start = offset + _HEAD.size
    payload = blob[start : start + length]
    if not length or len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    return payload, start + length


def _overwrite(path: Path, blob: bytes, *, offset: int, size: int) -> None:
    """Write into a file of that size, which takes no room once it is there."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(file, blob, offset)
        os.ftruncate(file, size)
    finally:
        os.close(file)


def spools(root: Path) -> list[SpoolReader]:
    """Return a reader for each spool under ``root``, oldest first."""
    if not root.is_dir():
        return []
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [SpoolReader(folder) for folder in folders]


def host_of(root: Path) -> str:
    """Return the name of the host whose spools are under ``root``, given at its first use and kept there."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        return (root / _HOST).read_text(encoding="utf-8")
    fresh = root / f".{new_id('host')}"
    fresh.write_text(new_id("host"), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(fresh, root / _HOST)
    fresh.unlink()
    return (root / _HOST).read_text(encoding="utf-8")


def mark_registered(root: Path, epoch: str) -> None:
    """Note that Valkey knows, in this epoch, every hold that the spools under ``root`` knew when it began."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    # In place, for a disk may be full; whoever reads half of it takes it for another epoch.
    _overwrite(root / _REGISTERED, epoch.encode(), offset=0, size=len(epoch))


def is_registered(root: Path, epoch: str) -> bool:
    """Tell whether ``mark_registered`` was called for this epoch, or there is nothing to register.

    Raises ``OSError`` or ``MsgspecError`` when a spool cannot be read just now.
    """
    with contextlib.suppress(FileNotFoundError):
        if (root / _REGISTERED).read_text(encoding="utf-8") == epoch:
            return True
    if any(reader.read(1) for reader in spools(root)):
        return False
    # Whatever is written from now on was admitted in this epoch.
    mark_registered(root, epoch)
    return True
