"""Names that Anthropic accepts, and the way back from them.

Its tools and calls have names of fewer characters than other formats allow, and know no namespaces. A schema for the
answer may have to be asked for as one more tool, whose input is then the answer.
"""

from __future__ import annotations

import re

import msgspec

from gateway.events import Choice
from gateway.form import CustomTool, Form, FunctionTool, ToolCall
from gateway.upstreams.base import CannotExpress

_OTHER = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 128
# Of the tool whose input is the answer; no caller's tool is likely to bear it.
ANSWER_TOOL = "give_the_final_answer"


class Original(msgspec.Struct, frozen=True):
    """How the caller names a tool."""

    name: str
    namespace: str = ""


def wire_name(name: str, namespace: str = "") -> str:
    """Return the name of a tool as Anthropic accepts it."""
    return _OTHER.sub("_", f"{namespace}__{name}" if namespace else name)[:_MAX_NAME]


def wire_id(call_id: str) -> str:
    """Return the id of a call as Anthropic accepts it."""
    return _OTHER.sub("_", call_id) or "call"


class Names:
    """The names of one request's tools."""

    __slots__ = ("_has_answer_tool", "_originals")

    def __init__(self, form: Form) -> None:
        self._originals: dict[str, Original] = {}
        for tool in form.tools:
            if isinstance(tool, FunctionTool | CustomTool):
                original = Original(tool.name, tool.namespace)
                self._originals.setdefault(wire_name(original.name, original.namespace), original)
        # Whether it was really sent is the model's matter; that no caller's tool is meant is ours.
        self._has_answer_tool = (
            form.response_format.kind == "json_schema" and ANSWER_TOOL not in self._originals
        )

    def check(self, form: Form) -> None:
        """Refuse tools that would bear the same name; raises ``CannotExpress``."""
        for tool in form.tools:
            if isinstance(tool, FunctionTool | CustomTool):
                wanted = Original(tool.name, tool.namespace)
                if self._originals[wire_name(wanted.name, wanted.namespace)] != wanted:
                    raise CannotExpress(
                        "tools",
                        f"This model cannot tell the tool '{tool.name}' from another of a similar name.",
                    )

    def original(self, name: str) -> Original:
        """Return how the caller names a tool."""
        return self._originals.get(name) or Original(name)

    def is_answer(self, name: str) -> bool:
        """Tell whether a call is the answer itself."""
        return self._has_answer_tool and name == ANSWER_TOOL

    def settle(self, choice: Choice) -> None:
        """Correct the finish reason of an answer that was given as a call."""
        if choice.reason == "tool_calls" and not any(isinstance(part, ToolCall) for part in choice.parts):
            choice.reason = "stop"
