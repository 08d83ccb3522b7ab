"""The tools of one request by the names that Anthropic knows, and the one that stands for the answer itself.

A schema for the answer may have to be asked for as one more tool, whose input is then the answer.
"""

from __future__ import annotations

from gateway.events import Choice
from gateway.form import Form, ToolCall
from gateway.upstreams.wire_names import CalledNames

# Of the tool whose input is the answer; no caller's tool is likely to bear it.
ANSWER_TOOL = "give_the_final_answer"


class Names:
    """Finds what a model called."""

    __slots__ = ("_has_answer_tool", "_names")

    def __init__(self, form: Form) -> None:
        self._names = CalledNames(form.tools)
        # Whether it was really sent is the model's matter.
        self._has_answer_tool = form.response_format.kind == "json_schema"

    def of(self, called: str) -> tuple[str, str]:
        """Return name and namespace of a tool as the caller knows it."""
        return self._names.of(called)

    def is_answer(self, called: str) -> bool:
        """Tell whether a call is the answer itself."""
        return self._has_answer_tool and called == ANSWER_TOOL

    def settle(self, choice: Choice) -> None:
        """Correct the finish reason of an answer that was given as a call."""
        if choice.reason == "tool_calls" and not any(isinstance(part, ToolCall) for part in choice.parts):
            choice.reason = "stop"
