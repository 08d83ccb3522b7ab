"""Names, ids and arguments of functions as upstreams take them, and the way back.

Few know namespaces; names have 64 plain characters, ids as many or fewer; arguments may have to be objects.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.form import CustomTool, FunctionTool, Tool, ToolCall
from gateway.upstreams.tools import wrapped

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64


def wire_name(name: str, namespace: str = "") -> str:
    """Return the name under which a tool is declared; one that had to be changed ends in a mark of the full name."""
    return plain(f"{namespace}__{name}" if namespace else name)


def plain(full: str) -> str:
    """Return a name or id that all of them take: the same one for the same text."""
    if full and len(full) <= _MAX_NAME and not _UNFIT.search(full):
        return full
    mark = hashlib.blake2s(full.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{_UNFIT.sub('_', full)[: _MAX_NAME - 9]}_{mark}"


def bounded(call_id: str, most: int) -> str:
    """Return an id of at most ``most`` characters: the same one for the same id."""
    if len(call_id) <= most:
        return call_id
    mark = hashlib.blake2s(call_id.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{call_id[: most - 17]}_{mark}"


class OwnNames:
    """Finds the name in the form of a tool that was called where namespaces are known, so that only names differ."""

    __slots__ = ("_names",)

    def __init__(self, tools: Iterable[Tool]) -> None:
        own = [tool.name for tool in tools if isinstance(tool, FunctionTool | CustomTool)]
        self._names = {plain(name): name for name in own}

    def of(self, called: str) -> str:
        """Return a name; one that nobody declared stays as it is."""
        return self._names.get(called, called)


class CalledNames:
    """Finds the name and namespace in the form of a function that a model called."""

    __slots__ = ("_names",)

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._names = {
            wire_name(tool.name, tool.namespace): (tool.name, tool.namespace)
            for tool in tools
            if isinstance(tool, FunctionTool | CustomTool)
        }

    def of(self, called: str) -> tuple[str, str]:
        """Return name and namespace; a name that nobody declared stays as it is."""
        return self._names.get(called, (called, ""))


def arguments(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as an object; text that is none (another model's mistake) goes under its own name."""
    text = wrapped(call)
    try:
        value = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": text}
