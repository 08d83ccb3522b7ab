"""Writing exports: a part at a time, so that no worker is away from everything else for long, and none of it is lost.

A part is a whole gzip file in the storage; parts after one another are one, too. When a worker dies, the next goes on
after the last stored part. A part grows in an unnamed temporary file, so that a dead worker leaves none.
"""

from __future__ import annotations

import gzip
import logging
import time
from tempfile import TemporaryFile
from typing import IO

from django.core.files import File
from django.core.files.storage import storages

from billing.exports import jobs, tell, writers
from billing.exports.jobs import STORAGE, Lost, NotDue
from billing.models import Export

logger = logging.getLogger(__name__)

PART_S = 20.0
REPORTED_EVERY_S = 1.0
_CANNOT = "Something on our side went wrong while it was written. Ask for it again; we were told, too."


def run(export_id: str, *, part_s: float = PART_S) -> bool:
    """Write the next part of an export, for about ``part_s`` seconds; tells whether there is more to write."""
    try:
        export = jobs.take(export_id)
    except NotDue:
        return False
    try:
        return _write(export, part_s)
    except Lost:
        # Cancelled, or slower than the lease: what was written of this part is of no use.
        logger.info("exports.lost", extra={"export": export_id})
    except Exception:
        logger.exception("exports.failed", extra={"export": export_id})
        _give_up(export)
    return False


def _give_up(export: Export) -> None:
    try:
        jobs.fail(export, why=_CANNOT)
    except Lost:
        return
    tell.tell(export)


def _write(export: Export, part_s: float) -> bool:
    if jobs.worn_out(export):
        logger.error("exports.worn_out", extra={"export": export.pk})
        _give_up(export)
        return False
    if export.rows_about is None and not export.parts:
        jobs.expect(export, rows_about=writers.of(export.kind).rows_about(export))
    with TemporaryFile() as file:
        part = _Part(export, file, part_s)
        is_whole = part.fill()
        return _keep(export, part, is_whole=is_whole)


def _keep(export: Export, part: _Part, *, is_whole: bool) -> bool:
    """Store a part; a whole export is ready, and its people are told."""
    name = storages[STORAGE].save(export.part_begun, File(part.file))
    kept = {"name": name, "size": part.size, "rows": part.rows}
    try:
        if is_whole:
            jobs.finish(export, part=kept)
        else:
            jobs.store(export, part=kept, position=part.position)
    except Lost:
        storages[STORAGE].delete(name)
        raise
    if is_whole:
        logger.info("exports.done", extra={"export": export.pk, "rows": export.rows_done})
        tell.tell(export)
    return not is_whole


class _Part:
    """A part that grows in a temporary file."""

    def __init__(self, export: Export, file: IO[bytes], part_s: float) -> None:
        self.file = file
        self.rows = 0
        self.size = 0
        self.position = export.position
        self._export = export
        self._stop_at = time.monotonic() + part_s
        self._report_at = time.monotonic() + REPORTED_EVERY_S

    def fill(self) -> bool:
        """Write pieces until the time is over; tells whether that was all of the export. Raises ``Lost``."""
        is_whole = True
        with gzip.GzipFile(filename="", fileobj=self.file, mode="wb", compresslevel=6, mtime=0) as packed:
            for piece in writers.of(self._export.kind).pieces(self._export, self.position):
                packed.write(piece.content)
                self.rows, self.position = self.rows + piece.rows, piece.position
                self._report()
                if time.monotonic() >= self._stop_at:
                    is_whole = False
                    break
        self.size = self.file.tell()
        self.file.seek(0)
        return is_whole

    def _report(self) -> None:
        if time.monotonic() >= self._report_at:
            done = sum(part["rows"] for part in self._export.parts)
            jobs.report(self._export, rows_done=done + self.rows)
            self._report_at = time.monotonic() + REPORTED_EVERY_S
