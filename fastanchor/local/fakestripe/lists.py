"""Lists in pages, filters by time, and Stripe's search language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from fastanchor.local.fakestripe.calls import Call
from fastanchor.local.fakestripe.errors import invalid, no_such
from fastanchor.local.fakestripe.world import Obj

_USUAL = 10
_MOST = 100
_CLAUSE = re.compile(
    r"""\s*(?P<minus>-)?(?P<field>[a-z_]+)(?:\[(?P<q>["'])(?P<key>.*?)(?P=q)\])?\s*(?P<op>:|~|>=|<=|>|<)\s*"""
    r"""(?:(?P<q2>["'])(?P<text>.*?)(?P=q2)|(?P<bare>null|-?\d+))\s*"""
)
_JOIN = re.compile(r"(AND|OR)\b|$", re.IGNORECASE)


def page(call: Call, rows: Iterable[Obj], url: str) -> Obj:
    """Return one page of ``rows``, which come newest first."""
    kept = [row for row in rows if _in_time(row, call.params.get("created"))]
    limit = _limit(call)
    if before := call.params.get("ending_before"):
        newer = kept[: _index(kept, before, "ending_before")]
        return listed(newer[-limit:], url, has_more=len(newer) > limit)
    if after := call.params.get("starting_after"):
        kept = kept[_index(kept, after, "starting_after") + 1 :]
    return listed(kept[:limit], url, has_more=len(kept) > limit)


def listed(rows: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    """Return a list object."""
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}


def where(call: Call, rows: Iterable[Obj], *names: str) -> list[Obj]:
    """Return the rows that equal the call in each of the named fields that it gives."""
    wanted = {name: call.params[name] for name in names if name in call.params}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def search(call: Call, rows: Iterable[Obj], url: str) -> Obj:
    """Return one page of what a query finds."""
    matches = _query(call.params["query"])
    found = [row for row in rows if matches(row)]
    start = int(call.params.get("page") or 0)
    end = start + _limit(call)
    has_more = len(found) > end
    shown = found[start:end]
    next_page = str(end) if has_more else None
    return {
        "object": "search_result",
        "data": shown,
        "has_more": has_more,
        "next_page": next_page,
        "url": url,
    }


def _limit(call: Call) -> int:
    limit: int = call.params.get("limit", _USUAL)
    if not 1 <= limit <= _MOST:
        bound = "less than or equal to 100" if limit > _MOST else "greater than or equal to 1"
        raise invalid(f"This value must be {bound}.", param="limit", code="parameter_invalid_integer")
    return limit


def _index(rows: list[Obj], object_id: str, param: str) -> int:
    for index, row in enumerate(rows):
        if row["id"] == object_id:
            return index
    raise no_such("object", object_id, param)


def _in_time(row: Obj, wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return bool(row["created"] == wanted)
    return all(_compare(row["created"], sign, bound) for sign, bound in wanted.items())


def _compare(value: int, sign: str, bound: int) -> bool:
    match sign:
        case "gt" | ">":
            return value > bound
        case "gte" | ">=":
            return value >= bound
        case "lt" | "<":
            return value < bound
        case _:
            return value <= bound


Matcher = Callable[[Obj], bool]


def _query(text: str) -> Matcher:
    clauses: list[Matcher] = []
    joins: set[str] = set()
    position = 0
    while position < len(text):
        clause = _CLAUSE.match(text, position)
        join = _JOIN.match(text, clause.end()) if clause else None
        if clause is None or join is None:
            message = 'We were unable to parse your search query. Try using the format `metadata["key"]:"value"` to query for metadata.'
            raise invalid(message, param="query")
        clauses.append(_clause(clause))
        joins |= {join.group().upper()} - {""}
        position = join.end()
    if len(joins) > 1:
        raise invalid("You can't mix `AND` and `OR` in one query.", param="query")
    combine = any if joins == {"OR"} else all
    return lambda row: combine(matches(row) for matches in clauses)


def _clause(found: re.Match[str]) -> Matcher:
    name, key, sign = found["field"], found["key"], found["op"]
    wanted = found["bare"] if found["text"] is None else found["text"]

    def matches(row: Obj) -> bool:
        value = row.get(name) if key is None else (row.get(name) or {}).get(key)
        if found["text"] is None and wanted == "null":
            return value is None
        if sign == ":":
            return str(value if value is not None else "").lower() == wanted.lower()
        if sign == "~":
            return wanted.lower() in str(value or "").lower()
        return value is not None and _compare(int(value), sign, int(wanted))

    return (lambda row: not matches(row)) if found["minus"] else matches
