"""How long what runs in this process may go on once it is told to end."""

from __future__ import annotations

from django.conf import settings

_is_patient = False


def be_patient() -> None:
    """Let what runs come to its end by itself: another process serves already, so nothing waits for this one."""
    global _is_patient  # noqa: PLW0603 - a process ends once
    _is_patient = True


def patience_s() -> float:
    """Return how long running requests may go on."""
    return float(settings.RELOAD_DRAIN_S if _is_patient else settings.DRAIN_S)
