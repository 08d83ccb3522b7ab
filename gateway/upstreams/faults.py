"""What can go wrong between us and an upstream, below the meaning of its answer."""

from __future__ import annotations


class UpstreamUnreachable(Exception):
    """No connection could be made; nothing was sent."""


class UpstreamBroken(Exception):
    """The connection ended or spoke nonsense; ``has_answered`` tells whether any byte had come."""

    def __init__(self, reason: str, *, has_answered: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.has_answered = has_answered


class UpstreamTimeout(Exception):
    """The deadline of this moment passed: ``phase`` is connect, answer or content."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase)
        self.phase = phase


class UpstreamTooLarge(Exception):
    """The upstream's answer exceeds what is accepted."""
