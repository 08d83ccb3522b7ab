"""The log of requests: pages of a selection, the newest or the dearest first, each bounded in what it reads.

A page begins after a position (never at an offset), so it stays the same while new requests arrive. Conditions that an
index answers are asked of the index; others are looked for among the next ``SCANNED`` requests only, and the page says how
far it has looked. So a page costs the same with a million requests, whatever is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from django.db import connection, models

from accounts.models import Organization
from billing.models import UsageRecord
from billing.selection import TROUBLED, Condition, Ending, Selection

ROWS = 30
SCANNED = 10_000
SUMMED = 10_000
RARE = 2_000
MOST_MODELS = 200


class Order(models.TextChoices):
    """What comes first."""

    NEWEST = "newest", "Newest first"
    DEAREST = "dearest", "Most expensive first"


class NotAPosition(ValueError):
    """A text is no position."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: that of a request, whether or not it is there."""

    started_at: datetime
    request_id: str
    cost_nano: int

    @classmethod
    def of(cls, record: UsageRecord) -> Self:
        """Return the place of a request."""
        return cls(record.started_at, record.request_id, record.cost_nano)

    @property
    def code(self) -> str:
        """The position as addresses write it."""
        micros = (self.started_at - _EPOCH) // _MICROSECOND
        return f"{micros}-{self.cost_nano}-{self.request_id}"

    @classmethod
    def parse(cls, code: str) -> Self:
        """Read what ``code`` has written; raises ``NotAPosition``."""
        micros, _, rest = code.partition("-")
        cost, _, request_id = rest.partition("-")
        try:
            started_at = _EPOCH + int(micros) * _MICROSECOND
            cost_nano = int(cost)
        except (ValueError, OverflowError):
            raise NotAPosition(code) from None
        if not (request_id.isascii() and request_id.replace("_", "").isalnum() and 0 <= cost_nano < 2**63):
            raise NotAPosition(code)
        return cls(started_at, request_id[:64], cost_nano)


_MICROSECOND = datetime.resolution
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """Requests in their order; ``newer`` and ``older`` are where the pages beside it begin.

    ``is_cut`` tells that the search went no further than ``older``, so that there may be more.
    """

    records: list[UsageRecord]
    newer: Position | None = None
    older: Position | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """What a selection comes to."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano: int


# By which columns an order goes, and whether down; the indexes are made like this.
_COLUMNS = {
    Order.NEWEST: (("started_at", True), ("request_id", False)),
    Order.DEAREST: (("cost_nano", True), ("started_at", True), ("request_id", False)),
}
# What the index of an order can be asked for; then what has an index of its own, of which one can be used.
_INDEXED = {
    Order.NEWEST: (("start", "end"), ("key", "model")),
    Order.DEAREST: (("start", "end", "least", "most"), ()),
}


@dataclass(frozen=True, slots=True)
class _Search:
    """A selection of one organization, as conditions on an index and conditions on what it finds."""

    indexed: tuple[Condition, ...]
    others: tuple[Condition, ...]

    @classmethod
    def of(cls, organization: Organization, selection: Selection, order: Order) -> Self:
        found = selection.conditions()
        always, one_of = _INDEXED[order]
        indexed = [Condition("organization_id = %s", (organization.pk,))]
        indexed += [found.pop(name) for name in always if name in found]
        # All that is OK is nearly everything: no index helps.
        if order == Order.NEWEST and selection.ending not in {None, Ending.OK}:
            # Which trouble it is, the index does not know.
            indexed.append(Condition(TROUBLED))
        else:
            first = [name for name in one_of if name in found][:1]
            indexed += [found.pop(name) for name in first]
        return cls(tuple(indexed), tuple(found.values()))


def read(
    *,
    organization: Organization,
    selection: Selection,
    order: Order = Order.NEWEST,
    position: Position | None = None,
    is_backward: bool = False,
    rows: int = ROWS,
) -> Page:
    """Return a page: from the top, or after a position, or (``is_backward``) just before it."""
    search = _Search.of(organization, selection, order)
    is_set = _is_rare(organization, selection)
    source = _Source(search, order, position, is_backward=is_backward, is_set=is_set)
    records = source.records(rows + 1)
    has_more, records = len(records) > rows, records[:rows]
    edge = None if has_more or is_set or not search.others else source.edge()
    if is_backward:
        return _backward(records, has_more=has_more, edge=edge, position=position)
    last = Position.of(records[-1]) if records else position
    return Page(
        records,
        newer=position and (Position.of(records[0]) if records else position),
        older=last if has_more else edge,
        is_cut=edge is not None,
    )


def _backward(
    records: list[UsageRecord], *, has_more: bool, edge: Position | None, position: Position | None
) -> Page:
    records.reverse()
    first = Position.of(records[0]) if records else None
    return Page(
        records,
        newer=first if has_more else edge,
        older=Position.of(records[-1]) if records else position,
        is_cut=edge is not None,
    )


def _is_rare(organization: Organization, selection: Selection) -> bool:
    """Tell whether one condition that has an index leaves so few requests that all of them can be read."""
    found = selection.conditions()
    if selection.ending == Ending.OK:
        del found["ending"]
    elif selection.ending is not None:
        found["ending"] = Condition(TROUBLED)
    always = [Condition("organization_id = %s", (organization.pk,))]
    always += [found[name] for name in ("start", "end") if name in found]
    named: list[tuple[str, Condition]] = [
        (name, _all((*always, found[name]))) for name in ("ending", "key", "model", "least") if name in found
    ]
    if "start" in found and len(found) > len(always) - 1:
        named.append(("start", _all(always)))
    if not named:
        return False
    with connection.cursor() as cursor:
        sql = ", ".join(_at_most_rare(name, where) for name, where in named)
        cursor.execute(f"SELECT least({sql})", _all([where for _, where in named]).values)
        return int(cursor.fetchone()[0]) <= RARE


def _at_most_rare(name: str, where: Condition) -> str:
    # In the order of the index, so that the planner never reads the table for it.
    order = (
        "cost_nano DESC, started_at DESC, request_id" if name == "least" else "started_at DESC, request_id"
    )
    few = f"SELECT FROM {_TABLE} WHERE {where.sql} ORDER BY {order} LIMIT {RARE + 1}"
    return f"(SELECT count(*) FROM ({few}) AS few)"  # noqa: S608


_TABLE = "billing_usagerecord"


class _Source:
    """Where a page's rows come from: SQL that reads an index in the page's order, at most so far."""

    def __init__(
        self, search: _Search, order: Order, position: Position | None, *, is_backward: bool, is_set: bool
    ) -> None:
        self._columns = _COLUMNS[order]
        self._is_backward = is_backward
        self._search = search
        self._is_set = is_set
        self._beyond = [_beyond(self._columns, position, is_backward=is_backward)] if position else []

    def records(self, limit: int) -> list[UsageRecord]:
        """Return the first rows."""
        others = _all(() if self._is_set else self._search.others)
        source, values = self.scanned("*", SCANNED if others.values else limit)
        sql = f"{source} WHERE {others.sql} ORDER BY {self._order()} LIMIT {limit}"
        return list(UsageRecord.objects.raw(sql, [*values, *others.values]))

    def edge(self) -> Position | None:
        """Return the last place that was looked at; nothing where all was."""
        names = [name for name, _ in self._columns]
        source, values = self.scanned(", ".join(names), SCANNED)
        sql = (
            f"SELECT *, count(*) OVER () FROM ({source}) AS looked_at "  # noqa: S608
            f"ORDER BY {self._order(is_turned=True)} LIMIT 1"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            row = cursor.fetchone()
        if row is None or row[-1] < SCANNED:
            return None
        return Position(**{"cost_nano": 0, **dict(zip(names, row[:-1], strict=True))})

    def scanned(self, columns: str, most: int) -> tuple[str, tuple[Any, ...]]:
        """Return a query for the next rows of the index; its own limit is what makes the planner walk there."""
        if self._is_set:
            # Materialized: otherwise the planner may look for few requests by walking through all of them.
            where = _all((*self._search.indexed, *self._search.others, *self._beyond))
            found = f"SELECT * FROM {_TABLE} WHERE {where.sql}"  # noqa: S608
            return f"WITH scanned AS MATERIALIZED ({found}) SELECT {columns} FROM scanned", where.values  # noqa: S608
        where = _all((*self._search.indexed, *self._beyond))
        inner = f"SELECT {columns} FROM {_TABLE} WHERE {where.sql} ORDER BY {self._order()} LIMIT {most}"  # noqa: S608
        return f"SELECT {columns} FROM ({inner}) AS scanned", where.values  # noqa: S608

    def _order(self, *, is_turned: bool = False) -> str:
        is_reversed = self._is_backward != is_turned
        return ", ".join(f"{name} {'DESC' if down != is_reversed else 'ASC'}" for name, down in self._columns)


def _all(conditions: Sequence[Condition]) -> Condition:
    sql = " AND ".join(each.sql for each in conditions) or "true"
    return Condition(sql, tuple(value for each in conditions for value in each.values))


def _beyond(columns: Sequence[tuple[str, bool]], position: Position, *, is_backward: bool) -> Condition:
    """Return what comes after a position; its first part lets an index begin there."""
    (name, is_down), *rest = columns
    value, sign = getattr(position, name), "<" if is_down != is_backward else ">"
    if not rest:
        return Condition(f"{name} {sign} %s", (value,))
    further = _beyond(rest, position, is_backward=is_backward)
    return Condition(
        f"{name} {sign}= %s AND ({name} {sign} %s OR ({further.sql}))", (value, value, *further.values)
    )


def total(*, organization: Organization, selection: Selection) -> Total | None:
    """Return what a selection comes to, where it lies among so few requests that they can be summed at once."""
    search = _Search.of(organization, selection, Order.NEWEST)
    others = _all(search.others)
    source, values = _Source(search, Order.NEWEST, None, is_backward=False, is_set=False).scanned(
        "*", SUMMED + 1
    )
    sql = f"""
    SELECT count(*), count(*) FILTER (WHERE {others.sql}), sum(input_tokens) FILTER (WHERE {others.sql}),
        sum(output_tokens) FILTER (WHERE {others.sql}), sum(cost_nano) FILTER (WHERE {others.sql})
    FROM ({source}) AS looked_at
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [*others.values * 4, *values])
        scanned, *sums = cursor.fetchone()
    return None if scanned > SUMMED else Total(*(int(value or 0) for value in sums))


def beside(record: UsageRecord) -> tuple[UsageRecord | None, UsageRecord | None]:
    """Return the organization's requests just before and just after one, by their start."""
    own: dict[str, Any] = {
        "organization": Organization(pk=record.organization_id),
        "selection": Selection(),
        "position": Position.of(record),
        "rows": 1,
    }
    before, after = read(**own).records, read(**own, is_backward=True).records
    return (before[0] if before else None, after[0] if after else None)


def used_models(organization: Organization) -> list[str]:
    """Return the models that an organization has used, by a few steps through an index."""
    sql = f"""
    WITH RECURSIVE used AS (
        (SELECT min(model_id) AS name FROM {_TABLE} WHERE organization_id = %s)
        UNION ALL
        SELECT (SELECT min(model_id) FROM {_TABLE} WHERE organization_id = %s AND model_id > used.name)
        FROM used WHERE used.name IS NOT NULL
    )
    SELECT name FROM used WHERE name IS NOT NULL LIMIT {MOST_MODELS}
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [organization.pk, organization.pk])
        return [name for (name,) in cursor.fetchall()]


def first_start(organization: Organization) -> datetime | None:
    """Return when the first request of an organization started."""
    first = UsageRecord.objects.filter(organization=organization).order_by("started_at", "-request_id")
    return first.values_list("started_at", flat=True).first()
