"""Whether the money of every customer adds up: in PostgreSQL, and in Valkey beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos.calls import Call, Customer
from tests.chaos.matching import Record

# A gateway that dies between placing a hold and writing its intent leaves a hold that only its lease ends; the next
# call of that customer clears it away.
_LEASE_S = 70.0


def wallet_breaches(
    customers: Sequence[Customer], records: Sequence[Record], balances: dict[str, int]
) -> Iterator[str]:
    """Compare each balance with the credit minus the costs of all usage records."""
    costs: Counter[str] = Counter()
    beyond_holds: Counter[str] = Counter()
    for record in records:
        costs[record.organization_id] += record.cost_nano
        beyond_holds[record.organization_id] += max(0, record.cost_nano - record.hold_nano)
    for customer in customers:
        owner, balance = customer.organization, balances[customer.organization]
        if balance != customer.credit_nano - costs[owner]:
            yield f"I3 {owner} has {balance} nano-USD of {customer.credit_nano} after using {costs[owner]}"
        if balance < -beyond_holds[owner]:
            yield f"I4 {owner} has {balance} nano-USD, but only {beyond_holds[owner]} were beyond holds"


@dataclass(frozen=True, slots=True)
class Known:
    """What Valkey knows of a wallet: the balance (``None`` while it is closed), the sum held, each hold."""

    balance_nano: int | None
    held_nano: int
    holds: dict[str, int]


@dataclass(slots=True)
class Leases:
    """Holds that nothing but their lease ends, and when each was first seen."""

    first_seen: dict[str, float] = field(default_factory=dict)

    def breaches(
        self, known: Known, balance: int, *, calls: Sequence[Call], records: set[str], now: float
    ) -> Iterator[str]:
        """Compare Valkey with PostgreSQL while nothing runs; ``now`` is monotonic."""
        if known.balance_nano != balance:
            yield f"I8 Valkey says {known.balance_nano} nano-USD, PostgreSQL {balance}"
        if known.held_nano != sum(known.holds.values()):
            yield f"I7 {known.held_nano} nano-USD are held, but the holds are {known.holds}"
        ended = records | {call.request_id for call in calls if call.status == 200}
        for request_id, amount in known.holds.items():
            if request_id in ended:
                yield f"I7 {request_id} has ended and still holds {amount} nano-USD"
            if now > self.first_seen.setdefault(request_id, now) + _LEASE_S:
                yield f"I7 {request_id} still holds {amount} nano-USD after its lease"
