"""What providers cost by day: what they billed where a bill is here, else what their list prices say.

Customers pay the providers' list prices, so what requests were charged is their list cost. Customers' own keys are left
out by ``served_days``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from django.db import connection

# One line for each provider and day: what was charged for what it served, and what it billed.
BY_PROVIDER = """
SELECT day, provider_id, coalesce(served.requests, 0)::bigint AS requests,
       coalesce(served.nano, 0)::bigint AS charged, billed.nano::bigint AS billed
FROM (SELECT day, provider_id, sum(requests) AS requests, sum(cost_nano) AS nano FROM billing_servedday
      WHERE day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2) AS served
FULL JOIN (SELECT day, provider_id, sum(amount_nano) AS nano FROM billing_providerbill
           WHERE is_current AND day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2) AS billed USING (day, provider_id)
"""
_BY_STEP = f"""
SELECT date_trunc(%(step)s, day::timestamp)::date, sum(charged)::bigint, sum(coalesce(billed, charged))::bigint,
       count(billed)
FROM ({BY_PROVIDER}) AS costs GROUP BY 1
"""  # noqa: S608 - the part stands above


@dataclass(frozen=True, slots=True)
class Cost:
    """What providers cost in a day or month: by list prices, and by bills as far as they are here (``bills`` of them)."""

    list_nano: int = 0
    nano: int = 0
    bills: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Add two."""
        return Cost(self.list_nano + other.list_nano, self.nano + other.nano, self.bills + other.bills)


def by_step(*, first: date, last: date, step: StrEnum) -> dict[date, Cost]:
    """Return what providers cost in each day or month of a range that has any cost."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_STEP, {"first": first, "last": last, "step": step.value})
        return {start: Cost(listed, nano, bills) for start, listed, nano, bills in cursor.fetchall()}
