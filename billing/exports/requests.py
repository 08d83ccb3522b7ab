"""Writes requests, oldest first: all of a selection that are in the ledger's usage when the export is asked for.

Each query reads at most a day and ``ROWS_AT_ONCE`` rows by a cursor of the server, so that memory, the longest silence and
what a cancelled export still does are bounded, however much there is and however little of it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction

from accounts.keys import DELETED_KEY
from accounts.models import ApiKey
from billing.exports.request_columns import FIELDS, NAMES, Value, as_csv, as_json_lines, values_of
from billing.exports.writers import Piece
from billing.models import Export
from billing.selection import Condition, Selection

ROWS_AT_ONCE = 25_000
ROWS_A_PIECE = 1_000
_COUNTED_MS = 15_000
_DAY = timedelta(days=1)


class RequestWriter:
    """Writes the requests of an organization."""

    formats = ("csv", "jsonl")

    def title(self, export: Export) -> str:
        """Say from when they are."""
        start, end = _range(export)
        last = end - timedelta(microseconds=1)
        return f"Requests from {start:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"

    def stem(self, export: Export) -> str:
        """Name the days of a file."""
        start, end = _range(export)
        return f"fastanchor-requests-{start:%Y%m%d}-{end - timedelta(microseconds=1):%Y%m%d}"

    def rows_about(self, export: Export) -> int | None:
        """Count them, unless that takes too long."""
        sql, values = _where(export, _selection(export))
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {_COUNTED_MS}")
                cursor.execute(f"SELECT count(*) FROM billing_usagerecord WHERE {sql}", values)  # noqa: S608
                return int(cursor.fetchone()[0])
        except OperationalError:
            return None

    def pieces(self, export: Export, position: str) -> Iterator[Piece]:
        """Yield the rows after a position, with the names of the columns before the first."""
        write = as_csv if export.file_format == "csv" else as_json_lines
        if not position and export.file_format == "csv":
            yield Piece(as_csv([NAMES]), 0, _position(_range(export)[0], ""))
        keys = dict(ApiKey.objects.filter(organization=export.organization_id).values_list("id", "name"))
        for rows, after in _batches(export, position):
            yield Piece(write([_values(row, keys) for row in rows]), len(rows), after)


def _selection(export: Export) -> Selection:
    return Selection.from_json(export.wanted)


def _range(export: Export) -> tuple[datetime, datetime]:
    selection = _selection(export)
    assert selection.start is not None, "exports have a beginning"
    assert selection.end is not None, "exports have an end"
    return selection.start.astimezone(UTC), selection.end.astimezone(UTC)


def _values(row: tuple[Any, ...], keys: dict[str, str]) -> list[Value]:
    fields = dict(zip(FIELDS, row, strict=True))
    return values_of({**fields, "key_name": keys.get(fields["key_id"], DELETED_KEY)})


def _batches(export: Export, position: str) -> Iterator[tuple[list[tuple[Any, ...]], str]]:
    """Yield rows and the position after them, day by day; an empty day yields its end, so that work can stop there."""
    first, end = _range(export)
    start, after = _parse(position) if position else (first, "")
    while start < end:
        day_end = min(end, _midnight_after(start))
        count = 0
        for rows in _read(export, start, day_end, after):
            count += len(rows)
            start, after = rows[-1][_STARTED], rows[-1][_ID]
            yield rows, _position(start, after)
        if count < ROWS_AT_ONCE:
            start, after = day_end, ""
            yield [], _position(start, after)


_STARTED, _ID = FIELDS.index("started_at"), FIELDS.index("request_id")


def _read(export: Export, start: datetime, end: datetime, after: str) -> Iterator[list[tuple[Any, ...]]]:
    """Read rows from ``start`` until before ``end``, but those of ``start`` only up from the id ``after``."""
    sql, values = _where(export, replace(_selection(export), start=start, end=end))
    edge = Condition("(started_at > %s OR request_id < %s)", (start, after)) if after else Condition("true")
    query = (
        f"SELECT {', '.join(FIELDS)} FROM billing_usagerecord WHERE {sql} AND {edge.sql} "  # noqa: S608
        f"ORDER BY started_at, request_id DESC LIMIT {ROWS_AT_ONCE}"
    )
    # Outside of a transaction the server keeps the rows of this cursor for us, and progress can be saved meanwhile.
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, [*values, *edge.values])
        while piece := cursor.fetchmany(ROWS_A_PIECE):
            yield piece


def _where(export: Export, selection: Selection) -> tuple[str, list[Any]]:
    """Return the condition; what is settled later is not in it, however long the writing takes."""
    conditions = [
        Condition("organization_id = %s", (export.organization_id,)),
        Condition("settled_at <= %s", (export.asked_at,)),
        *selection.conditions().values(),
    ]
    return " AND ".join(each.sql for each in conditions), [v for each in conditions for v in each.values]


def _midnight_after(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY


def _position(start: datetime, after: str) -> str:
    return f"{start.astimezone(UTC).isoformat()} {after}"


def _parse(position: str) -> tuple[datetime, str]:
    start, _, after = position.partition(" ")
    return datetime.fromisoformat(start), after
