"""Puts the pieces of tool calls in a chat completion's stream together, however a server numbers them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fastanchor.lib.ids import new_id
from gateway.events import Event, ToolBegan, ToolDelta
from gateway.upstreams.wire_names import CalledNames


class FunctionDelta(msgspec.Struct):
    """More of a function's call; some servers write the arguments as an object, in one piece."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CustomDelta(msgspec.Struct):
    """More of a custom tool's call."""

    name: str | None = None
    input: str | None = None


class CallDelta(msgspec.Struct):
    """One entry of ``tool_calls``."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None
    extra_content: Any = None


class CallNumbers:
    """Numbers the tool calls of one choice from 0, whatever numbers the server gives them."""

    __slots__ = ("_by_index", "_count", "_ids")

    def __init__(self) -> None:
        self._count = 0
        self._by_index: dict[int, int] = {}
        self._ids: list[str] = []

    def of(self, index: int | None, call_id: str, name: str) -> int:
        """Return the number of the call that a piece belongs to: a new one where its index, or its id and name, say so."""
        known = self._by_index.get(index) if index is not None else (self._count - 1 if self._count else None)
        known_id = "" if known is None else self._ids[known]
        # Gemini numbers all calls 0 or not at all; other servers repeat id and name in every piece.
        is_other = bool(call_id and name and known_id) and call_id != known_id
        is_unnumbered = index is None and bool(name or call_id) and (not call_id or call_id != known_id)
        if known is None or is_other or is_unnumbered:
            known = self._count
            self._count += 1
            self._ids.append(call_id)
            if index is not None:
                self._by_index[index] = known
        self._ids[known] = self._ids[known] or call_id
        return known


class _Call:
    """One call: ``held`` keeps arguments that came before the name."""

    __slots__ = ("held", "id", "key", "name")

    def __init__(self, key: int) -> None:
        self.key = key
        self.id = ""
        self.name = ""
        self.held = ""


class CallReader:
    """Follows the tool calls of one choice."""

    def __init__(self, choice: int, names: CalledNames) -> None:
        self._choice = choice
        self._names = names
        self._numbers = CallNumbers()
        self._calls: list[_Call] = []
        self._ids: set[str] = set()

    def take(self, delta: CallDelta) -> Iterator[Event]:
        """Read one piece."""
        function, custom = delta.function, delta.custom
        name = (function and function.name) or (custom and custom.name) or ""
        call = self._call(delta, name)
        if name and not call.name:
            yield self._begin(call, delta, name)
        more: Any = (function and function.arguments) or (custom and custom.input) or ""
        call.held += more if isinstance(more, str) else msgspec.json.encode(more).decode()
        if call.name and call.held:
            yield ToolDelta(call.key, call.held, self._choice)
            call.held = ""

    def _begin(self, call: _Call, delta: CallDelta, upstream_name: str) -> ToolBegan:
        call.name, namespace = self._names.of(upstream_name)
        if not call.id or call.id in self._ids:
            # Results could not be told apart.
            call.id = new_id("call")
        self._ids.add(call.id)
        return ToolBegan(
            key=call.key,
            id=call.id,
            name=call.name,
            is_custom=delta.custom is not None,
            seal=_google_seal(delta.extra_content),
            choice=self._choice,
            namespace=namespace,
        )

    def _call(self, delta: CallDelta, name: str) -> _Call:
        key = self._numbers.of(delta.index, delta.id or "", name)
        if key == len(self._calls):
            self._calls.append(_Call(key))
        call = self._calls[key]
        call.id = call.id or delta.id or ""
        return call


def _google_seal(extra: Any) -> str:
    try:
        seal = extra["google"]["thought_signature"]
    except (KeyError, TypeError):
        return ""
    return seal if isinstance(seal, str) else ""
