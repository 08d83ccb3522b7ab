"""A breaker: after some failures in a row nobody waits any more, until what failed answers again."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES_TO_OPEN = 3
ANSWERS_TO_CLOSE = 2


class Breaker:
    """Counts how a connection fares; it opens only where somebody watches it, and asks for signs of life then."""

    def __init__(self) -> None:
        self.is_open = False
        self.opened_at = 0.0
        # In a row, since the last answer.
        self.failures = 0
        # Nothing was answered since the owner has set it.
        self.is_quiet = True
        self._answers = 0
        self._on_failure: Callable[[], None] | None = None

    def watch(self, on_failure: Callable[[], None]) -> None:
        """Be told of each failure, and see to it that an open breaker closes again."""
        self._on_failure = on_failure

    def failed(self) -> None:
        """Count one failure; enough of them open it."""
        self.failures += 1
        self._answers = 0
        if self._on_failure is not None:
            if self.failures >= FAILURES_TO_OPEN and not self.is_open:
                self.is_open, self.opened_at = True, time.monotonic()
            self._on_failure()

    def heard(self) -> None:
        """Note an answer to anything."""
        if not self.is_open:
            self.failures = 0

    def answered(self) -> None:
        """Count an answer to a question for a sign of life; enough of them in a row close it."""
        self._answers += 1
        if self._answers >= ANSWERS_TO_CLOSE:
            self.is_open = False
        self.heard()
