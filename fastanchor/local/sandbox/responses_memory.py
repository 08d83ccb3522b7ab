"""Stored responses: what ``previous_response_id`` finds again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_MOST_RESPONSES = 10_000


class Memory:
    """The latest responses of one sandbox, and which thought led to which call."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._bodies: dict[str, dict[str, Any]] = {}
        self._thoughts: OrderedDict[str, str] = OrderedDict()
        self._kept: set[str] = set()

    def keep(self, body: dict[str, Any], before: list[dict[str, Any]], *, is_stored: bool) -> None:
        """Remember a response, all of it only if it is to be stored."""
        thought = ""
        for item in body["output"]:
            if item["type"] == "reasoning":
                thought = item["id"]
            elif thought:
                self._thoughts[item["id"]] = thought
        if is_stored:
            self._items[body["id"]] = [*before, *body["output"]]
            self._bodies[body["id"]] = body
            self._kept |= {item["id"] for item in body["output"]}
        if len(self._items) > _MOST_RESPONSES:
            del self._bodies[self._items.popitem(last=False)[0]]

    def items(self, response_id: str) -> list[dict[str, Any]] | None:
        """Return everything up to a response's end, or ``None``."""
        return self._items.get(response_id)

    def body(self, response_id: str) -> dict[str, Any] | None:
        """Return a stored response."""
        return self._bodies.get(response_id)

    def forget(self, response_id: str) -> bool:
        """Delete a stored response; tell whether there was one."""
        self._items.pop(response_id, None)
        return self._bodies.pop(response_id, None) is not None

    def thought_before(self, item_id: str) -> str | None:
        """Return the id of the reasoning that led to an item."""
        return self._thoughts.get(item_id)

    def keeps(self, item_id: str) -> bool:
        """Tell whether an item is stored."""
        return item_id in self._kept

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._bodies.clear()
        self._thoughts.clear()
        self._kept.clear()
