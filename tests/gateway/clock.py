"""A clock that the test moves."""

from __future__ import annotations


class Clock:
    """Says what it was set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
