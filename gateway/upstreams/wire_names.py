"""Names of functions as Gemini and Amazon Bedrock take them, and back: no namespaces, 64 plain characters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from gateway.form import CustomTool, FunctionTool, Tool

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64


def wire_name(name: str, namespace: str = "") -> str:
    """Return the name under which a tool is declared; one that had to be changed ends in a mark of the full name."""
    full = f"{namespace}__{name}" if namespace else name
    if full and len(full) <= _MAX_NAME and not _UNFIT.search(full):
        return full
    mark = hashlib.blake2s(full.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{_UNFIT.sub('_', full)[: _MAX_NAME - 9]}_{mark}"


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
