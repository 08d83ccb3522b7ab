"""A process that dies: at any word to Stripe or to PostgreSQL, before it or before its answer is heard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import stripe
from django.db import connection

_WRITES = ("INSERT", "UPDATE", "DELETE")
NEVER = 1_000_000


class Died(BaseException):
    """As after SIGKILL nothing else runs: no handler catches it."""


class Life:
    """Counts the points at which a process may die, and ends it at one of them: by its number, or by its name."""

    def __init__(self, ends_at: int | str) -> None:
        self.ends_at = ends_at
        self.points: list[str] = []

    def pass_by(self, what: str) -> None:
        """Live on, or die here."""
        self.points.append(what)
        if self.ends_at in {len(self.points) - 1, what}:
            raise Died(what)

    def execute(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - as Django calls it
        """Pass by each change of the database."""
        if sql.lstrip().startswith(_WRITES):
            self.pass_by(" ".join(sql.split()[:3]))
        return execute(sql, params, many, context)


@contextmanager
def life(ends_at: int | str = NEVER) -> Iterator[Life]:
    """Let what stands inside live until one of its points; what was committed until then stays."""
    lived = Life(ends_at)
    honest = stripe.RequestsClient.request

    def request(self: Any, method: str, url: str, *rest: Any, **more: Any) -> Any:
        place = f"{method.upper()} {url.rsplit('/v1/', maxsplit=1)[-1].split('?', maxsplit=1)[0]}"
        lived.pass_by(f"before {place}")
        answer = honest(self, method, url, *rest, **more)
        lived.pass_by(f"after {place}")
        return answer

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(lived.execute):
        patch.setattr(stripe.RequestsClient, "request", request)
        yield lived
