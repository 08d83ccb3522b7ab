"""What a scripted model does next: one step for each round of tool results.

``script="call:shell {…}|text:done"`` first calls a tool and, once its result is there, says ``done``. A step may do
several things, joined by ``+``: ``think:hm + text:Wait. + call:a {} + call:b {}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERBS = "think|text|call|refuse|search"
_NEXT_STEP = re.compile(rf"\s*\|\s*(?=(?:{_VERBS}):)")
_NEXT_DEED = re.compile(rf"\s*\+\s*(?=(?:{_VERBS}):)")
_DEED = re.compile(rf"(?s)\s*({_VERBS}):(.*)")


class BadScript(ValueError):
    """A script that cannot be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call that was ordered; without ``arguments`` they are made up."""

    name: str
    arguments: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one answer holds; ``None`` where nothing is ordered."""

    think: str | None = None
    text: str | None = None
    refuse: str | None = None
    search: str | None = None
    calls: tuple[Wanted, ...] = ()


def step_at(script: str, results: int) -> Step:
    """Return the step that follows on ``results`` tool results; the last one is repeated. Raises ``BadScript``."""
    steps = [_step(part) for part in _NEXT_STEP.split(script)]
    for step in steps:
        if not step.calls and not results:
            return step
        if results < len(step.calls):
            return step
        results -= len(step.calls)
    return steps[-1] if not steps[-1].calls else Step(text="The script has ended.")


def _step(text: str) -> Step:
    said: dict[str, str] = {}
    calls: list[Wanted] = []
    for part in _NEXT_DEED.split(text):
        deed = _DEED.fullmatch(part)
        if deed is None:
            message = f"A step of a script is verb:value with a verb of {_VERBS}; got {part[:40]!r}."
            raise BadScript(message)
        verb, value = deed.groups()
        if verb == "call":
            name, _, arguments = value.strip().partition(" ")
            calls.append(Wanted(name, arguments.strip() or None))
        else:
            said[verb] = value
    return Step(
        said.get("think"), said.get("text"), said.get("refuse"), said.get("search"), calls=tuple(calls)
    )
