"""The spool keeps every record through the death of its writer, and forgets none before it is acknowledged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from accounts.models import Organization
from billing.spool import Intent, Position, Spool, SpoolFull, SpoolReader, Usage, Void, host_of, spools
from tests.billing.cast import UNITS, usage

SMALL = 4096


def void(number: int) -> Void:
    return Void(f"req_{number:06d}")


def has_room(spool: Spool) -> bool:
    try:
        spool.make_room()
    except SpoolFull:
        return False
    return True


def test_what_was_written_is_read_in_order_across_segments(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)
    written = [void(number) for number in range(1000)]

    for record in written:
        spool.make_room()
        spool.append(record)

    (reader,) = spools(tmp_path)
    assert [entry.record for entry in reader.read(5000)] == written
    assert reader.read(10) == []


def test_a_reader_sees_what_is_appended_later(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)
    (reader,) = spools(tmp_path)
    seen = []

    for number in range(500):
        spool.append(void(number))
        seen += [entry.record for entry in reader.read(3)]

    assert seen == [void(number) for number in range(500)]


def test_only_what_follows_the_acknowledged_position_is_read_again(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)
    for number in range(600):
        spool.append(void(number))
    (reader,) = spools(tmp_path)
    entries = reader.read(600)

    reader.acknowledge(entries[399].end)

    assert [entry.record for entry in SpoolReader(reader.folder).read(600)] == [
        void(n) for n in range(400, 600)
    ]
    kept = sorted(path.name for path in reader.folder.glob("*.seg"))
    assert kept[0] == f"{entries[399].end.segment:08d}.seg"


def test_a_damaged_acknowledgement_only_means_to_read_everything_again(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path)
    spool.append(void(1))
    (reader,) = spools(tmp_path)
    reader.acknowledge(reader.read(1)[0].end)

    (reader.folder / "ack").write_bytes(b"\x07" * 20)

    assert SpoolReader(reader.folder).acknowledged == Position(1, 0)
    assert [entry.record for entry in SpoolReader(reader.folder).read(5)] == [void(1)]


def test_a_torn_tail_is_not_a_record(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)
    spool.append(void(1))
    (reader,) = spools(tmp_path)
    end = reader.read(1)[0].end.offset
    spool.append(void(2))

    with (spool.folder / "00000001.seg").open("r+b") as file:
        file.seek(end + 12)
        file.write(b"\xff")

    assert [entry.record for entry in SpoolReader(spool.folder).read(5)] == [void(1)]


def test_records_survive_kill_9_and_the_spool_is_then_orphaned(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from billing.spool import Spool, Void
        spool = Spool.create(Path(sys.argv[1]))
        for number in range(200):
            spool.append(Void(f"req_{number:06d}"))
        print("written", flush=True)
        time.sleep(60)
        """
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    (reader,) = spools(tmp_path)
    assert not reader.is_orphaned()

    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()

    assert reader.is_orphaned()
    assert len(reader.read(500)) == 200


def test_a_full_disk_refuses_before_a_record_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_space)
    accepted = 0
    while has_room(spool):
        spool.append(void(accepted))
        accepted += 1

    (reader,) = spools(tmp_path)
    assert len(reader.read(10_000)) == accepted > 0
    # Half a segment is left for the records of calls under way.
    spool.append(void(accepted))
    assert [entry.record for entry in reader.read(10)] == [void(accepted)]


def test_a_spool_whose_removal_was_broken_off_holds_nothing_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)
    for number in range(250):
        spool.make_room()
        spool.append(void(number))
    (reader,) = spools(tmp_path)
    reader.acknowledge(reader.read(1000)[-1].end)
    assert reader.acknowledged.segment == 2

    def die(folder: Path) -> None:
        # A folder is emptied in any order; this is the worst.
        (folder / "ack").unlink()
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(InterruptedError):
            reader.remove()

    (again,) = spools(tmp_path)
    assert again.read(1000) == []


def _usage(**units: int) -> Usage:
    fields = msgspec.to_builtins(usage(Organization(pk="org_1"), upstream_id="up_1"))[1:]
    return msgspec.structs.replace(Usage(*fields), **units)


def test_usage_of_an_older_gateway_is_read_with_nothing_but_text(tmp_path: Path) -> None:
    record = _usage()
    spool = Spool.create(tmp_path)
    fields = msgspec.to_builtins(record)
    spool.append(fields[: 1 + fields.index("up_1")])

    (reader,) = spools(tmp_path)

    assert len(fields) == 1 + len(Usage.__struct_fields__)
    assert [entry.record for entry in reader.read(5)] == [record]


def test_an_intent_of_an_older_gateway_counts_for_no_member(tmp_path: Path) -> None:
    record = Intent("req_1", "org_1", "key_1", "m", "p", "c", "1", 7, True, 5_000, 400, "user_7")  # noqa: FBT003
    spool = Spool.create(tmp_path)
    spool.append(record)
    spool.append(msgspec.to_builtins(record)[:-2])

    (reader,) = spools(tmp_path)

    older = msgspec.structs.replace(record, member="")
    assert [entry.record for entry in reader.read(5)] == [record, older]


def test_usage_of_a_newer_gateway_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path)
    spool.append([*msgspec.to_builtins(void(3)), "of a later version"])  # type: ignore[arg-type]

    (reader,) = spools(tmp_path)

    assert [entry.record for entry in reader.read(5)] == [void(3)]


def test_every_class_of_usage_survives_the_spool(tmp_path: Path) -> None:
    record = _usage(**UNITS)
    spool = Spool.create(tmp_path)
    spool.append(record)

    (reader,) = spools(tmp_path)

    assert [entry.record for entry in reader.read(5)] == [record]


def test_an_acknowledgement_takes_no_room_and_survives_a_torn_one(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, segment_bytes=SMALL)
    ack = spool.folder / "ack"
    before = ack.stat()
    for number in range(3):
        spool.append(void(number))
    (reader,) = spools(tmp_path)
    ends = [entry.end for entry in reader.read(3)]

    for end in ends:
        reader.acknowledge(end)

    after = ack.stat()
    assert (after.st_ino, after.st_size, after.st_blocks) == (before.st_ino, before.st_size, before.st_blocks)
    assert SpoolReader(spool.folder).acknowledged == ends[2]
    # The third was written over the first: if it is torn, the second stands.
    raw = ack.read_bytes()
    ack.write_bytes(raw[:10] + bytes(10) + raw[20:])
    torn = SpoolReader(spool.folder)
    assert torn.acknowledged == ends[1]
    torn.acknowledge(ends[2])
    assert SpoolReader(spool.folder).acknowledged == ends[2]


def test_who_asks_for_the_host_s_name_writes_nothing_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = host_of(tmp_path)

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_space)

    assert host_of(tmp_path) == name
