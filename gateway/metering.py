"""Output tokens estimated from what passes, for streams whose upstream has not reported yet."""

from __future__ import annotations


class TextMeter:
    """Estimates output tokens: at least one a chunk, a quarter per ASCII character, one per other character."""

    __slots__ = ("_chunks", "_quarters", "has_output")

    def __init__(self) -> None:
        self._quarters = 0
        self._chunks = 0
        self.has_output = False

    def count(self, text: str) -> None:
        """Count one piece of output."""
        self._quarters += len(text) if text.isascii() else 4 * len(text)
        self._chunks += 1
        self.has_output = True

    @property
    def tokens(self) -> int:
        """Return the estimate so far."""
        return max(self._chunks, (self._quarters + 3) // 4)
