"""What the campaign's clients ask for, and what each of them saw."""

from __future__ import annotations

import msgspec


class Customer(msgspec.Struct, frozen=True):
    """An organization that calls; a poor one runs out of credit while it does."""

    organization: str
    key: str
    credit_nano: int
    is_poor: bool = False


class Plan(msgspec.Struct, frozen=True):
    """One load: who calls with how many clients at a time, where, for how long.

    In a brisk one every call is over at once, so that acknowledgements follow closely on what happens.
    """

    seed: str
    seconds: float
    is_brisk: bool
    base_urls: tuple[str, ...]
    customers: tuple[tuple[Customer, int], ...]


class Call(msgspec.Struct):
    """One request as its client saw it. ``status`` stays 0 when the connection broke before an answer."""

    nonce: str
    organization: str
    is_poor: bool
    # Which gateway was asked.
    gateway: int
    is_stream: bool
    sent_at: float = 0.0
    ended_at: float = 0.0
    status: int = 0
    request_id: str = ""
    # The error's code, also of an error inside a stream.
    error: str = ""
    is_complete: bool = False
    has_hung_up: bool = False
    has_waited_in_vain: bool = False
    # Nothing was sent: nobody listened.
    was_refused: bool = False

    @property
    def is_broken(self) -> bool:
        """Tell whether the connection ended too early, and not by the client's own will."""
        return not (
            self.is_complete or self.error or self.has_hung_up or self.has_waited_in_vain or self.was_refused
        )
