"""Ids of items: made from the request's own, so that the response that an item is from is found by it.

An upstream's own items get such ids, too, and their old ones back when they are sent to it: what a provider sealed it
reads under the id that it gave.
"""

from __future__ import annotations

import re

# What a request's id has behind its prefix; see ``fastanchor.lib.ids.new_id``.
_SUFFIX = r"[0-9A-Za-z]{22}"
_ITEM = re.compile(rf"[a-z]+_({_SUFFIX})_.+")
# Items that were made here have a number where an upstream's have a word.
_ADOPTED = re.compile(rb'"id"\s*:\s*"([a-z]+)_%b_(?![0-9]+")([^"\\]+)"' % _SUFFIX.encode())


def item_id(prefix: str, request_id: str, rest: int | str) -> str:
    """Return the id of an item; ``rest`` tells it from the response's other items."""
    return f"{prefix}_{request_id.removeprefix('req_')}_{rest}"


def adopted_id(theirs: str, request_id: str) -> str:
    """Return the id under which callers know an upstream's item."""
    prefix, _, rest = theirs.partition("_")
    if not rest or rest.isdecimal() or not prefix.isalpha() or not prefix.islower():
        return theirs
    return item_id(prefix, request_id, rest)


def response_of(item: str) -> str | None:
    """Return the id of the response that an item is from, as far as its own id tells."""
    found = _ITEM.fullmatch(item)
    return found and f"resp_{found[1]}"


def with_their_ids(raw: bytes) -> bytes:
    """Return JSON in which items of an upstream have the ids that it gave them."""
    return _ADOPTED.sub(rb'"id":"\1_\2"', raw) if b'"id"' in raw else raw
