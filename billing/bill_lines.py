"""Reading a provider's bill: a CSV file of day, model and amount, in which every line is right or none is taken.

    day,model,amount_usd
    2026-11-30,gpt-4o,12.345678901
    2026-11-30,gpt-5.4,3.5

``day`` is a day in UTC that is over. ``model`` is the provider's own name for it; a bill of whole days leaves it empty.
``amount_usd`` is in dollars with up to nine decimals. The columns may stand in any order; others are not read.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from fastanchor.lib.money import NotDollars, parse_nanos

COLUMNS = ("day", "model", "amount_usd")
MOST_BYTES = 5_000_000
MOST_LINES = 50_000
# Who has to mend a file reads no more at once.
MOST_FAULTS = 20
_LONGEST_MODEL = 200


@dataclass(frozen=True, slots=True)
class BillLine:
    """What a provider billed for a day: for one model, or for all where ``model`` is empty."""

    day: date
    model: str
    amount_nano: int


@dataclass(frozen=True, slots=True)
class ReadBill:
    """A file that could be read."""

    sha256: str
    lines: list[BillLine]


class NotABill(Exception):
    """A file cannot be taken; ``faults`` say why, those of lines with their numbers."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


class _Fault(Exception):
    """What is wrong with one line."""


def read(content: bytes, *, today: date) -> ReadBill:
    """Read a file; raises ``NotABill`` with everything that is wrong with it, as far as anyone reads."""
    if len(content) > MOST_BYTES:
        raise NotABill([f"The file has more than {MOST_BYTES:,} bytes."])
    try:
        # A spreadsheet begins its files with a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotABill(["The file is not text in UTF-8."]) from None
    rows = csv.DictReader(io.StringIO(text), strict=True)
    try:
        lines = _lines(rows, today)
    except csv.Error as exc:
        raise NotABill([f"Near line {rows.line_num} the file is no CSV: {exc}."]) from None
    return ReadBill(hashlib.sha256(content).hexdigest(), lines)


def _lines(rows: csv.DictReader[str], today: date) -> list[BillLine]:
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
    if missing:
        raise NotABill([f"The first line names no column {', '.join(missing)}."])
    lines: list[BillLine] = []
    faults: list[str] = []
    seen: dict[tuple[date, str], int] = {}
    for row in rows:
        try:
            line = _line(row, today)
            _once(seen, line, rows.line_num)
        except _Fault as fault:
            faults.append(f"Line {rows.line_num}: {fault}")
        else:
            lines.append(line)
        if len(lines) > MOST_LINES or len(faults) >= MOST_FAULTS:
            break
    faults += _mixed(seen)
    if len(lines) > MOST_LINES:
        faults.append(f"The file has more than {MOST_LINES:,} lines.")
    if faults or not lines:
        raise NotABill(faults or ["The file has no line but the first."])
    return lines


def _line(row: Mapping[str, str | None], today: date) -> BillLine:
    day = _day(row["day"] or "", today)
    model = (row["model"] or "").strip()
    if len(model) > _LONGEST_MODEL or not model.isprintable():
        raise _Fault("the model's name is too long, or has signs that cannot be printed.")
    amount = (row["amount_usd"] or "").strip()
    try:
        return BillLine(day, model, parse_nanos(amount))
    except NotDollars:
        raise _Fault(
            f"{_short(amount)} is no amount in dollars with at most nine decimals, such as 12.50."
        ) from None


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise _Fault(f"{_short(text)} is no day such as 2026-11-30.") from None
    if day >= today:
        raise _Fault(f"{day} is not over yet (UTC).")
    if day.year < 2000:
        raise _Fault(f"{day} is too long ago.")
    return day


def _short(text: str) -> str:
    return f'"{text[:40]}"'


def _once(seen: dict[tuple[date, str], int], line: BillLine, number: int) -> None:
    first = seen.setdefault((line.day, line.model), number)
    if first != number:
        raise _Fault(f"{line.day} {line.model or 'without a model'} stands in line {first} already.")


def _mixed(seen: dict[tuple[date, str], int]) -> Iterator[str]:
    """Name the days that are billed as a whole and by model, and so would count twice."""
    whole = {day for day, model in seen if not model}
    by_model = {day for day, model in seen if model}
    for day in sorted(whole & by_model)[:MOST_FAULTS]:
        yield f"Line {seen[day, '']}: {day} is billed as a whole here, and by model in other lines."
