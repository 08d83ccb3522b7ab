"""JSON in which something is not what it should be."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

_JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**30, "", "x", "\u2028", [], [None], [[]], {}, {"type": None}, {"a": {}}]
)


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(each for key, item in inner for each in _places(item, (*place, key)))]


@st.composite
def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """Return a copy of JSON with one or two of its values replaced or removed."""
    made = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(_places(made)[1:] or [()]))
        if not place:
            return draw(_JUNK)
        holder = made
        for key in place[:-1]:
            holder = holder[key]
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[place[-1]]
        else:
            holder[place[-1]] = copy.deepcopy(draw(_JUNK))
    return made
