"""How long Stripe is waited for: pages give up soon, workers do not. Nothing here needs Stripe's SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a connection and for an answer, and how often to ask once more."""

    connect_s: float
    answer_s: float
    retries: int


PATIENT = Patience(connect_s=5.0, answer_s=20.0, retries=2)
# While somebody waits for a page. What comes to nothing is taken up again by the tasks.
HURRIED = Patience(connect_s=2.0, answer_s=5.0, retries=1)
_is_hurried: ContextVar[bool] = ContextVar("is_hurried", default=False)


@contextmanager
def hurried() -> Iterator[None]:
    """Give up on Stripe soon inside: somebody waits for the page that is made."""
    before = _is_hurried.set(True)
    try:
        yield
    finally:
        _is_hurried.reset(before)


def now() -> Patience:
    """Return how long whoever calls may wait."""
    return HURRIED if _is_hurried.get() else PATIENT
