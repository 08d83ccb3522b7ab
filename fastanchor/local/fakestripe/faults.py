"""Stripe having a bad day: errors, silence and cut connections, before or after the effect took place."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from fastanchor.local.fakestripe.errors import StripeError

_WORDS = {
    429: (
        "invalid_request_error",
        "rate_limit",
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
    ),
    500: ("api_error", None, "An unknown error occurred"),
    503: ("api_error", None, "Stripe is temporarily unavailable. Please try again."),
}


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """What goes wrong with which calls.

    ``status`` is answered instead of the truth, or with ``hang_s`` nothing: the connection is cut after so long. It strikes
    at a ``rate`` between 0 and 1, the next ``count`` times (-1: always), where method and path fit. ``when`` says whether
    the call still has its effect. ``is_remembered`` says whether the idempotency key keeps the error; by default that is so
    for a 500 that came after the effect, as with Stripe.
    """

    status: int = 500
    hang_s: float | None = None
    when: Literal["before", "after"] = "before"
    count: int = -1
    rate: float = 1.0
    method: str = ""
    path: str = "/v1/"
    is_remembered: bool | None = None

    def keeps(self) -> bool:
        """Say whether the idempotency key keeps this error."""
        if self.is_remembered is not None:
            return self.is_remembered
        return self.when == "after" and self.status == 500 and self.hang_s is None

    def error(self) -> StripeError:
        """Return what is answered."""
        kind, code, message = _WORDS.get(self.status, _WORDS[500])
        return StripeError(message, status=self.status, kind=kind, code=code, is_remembered=self.keeps())


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """What tests order: the faults, and the seed that decides whom they strike."""

    faults: list[Fault] = []
    seed: int = 0


@dataclass
class Weather:
    """The faults in force; the first that strikes counts."""

    faults: list[Fault] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - chosen by tests

    def change(self, wanted: Faults) -> None:
        """Replace the faults."""
        self.faults = wanted.faults
        self._random.seed(wanted.seed)

    def strikes(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with a call, and count it."""
        for fault in self.faults:
            fits = path.startswith(fault.path) and fault.method in {"", method}
            if fits and fault.count != 0 and self._random.random() < fault.rate:
                fault.count -= fault.count > 0
                return fault
        return None
