"""What providers cost by day: what they billed where a bill is here, else what their list prices say.

Customers pay the providers' list prices, so what requests were charged is their list cost. Customers' own keys are left
out by ``served_days``.
"""

from __future__ import annotations

from collections.abc import Mapping
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

# Days of which a bill names the model, under its name at the provider.
_OF_MODELS = """
SELECT named.id, sum(bill.amount_nano)::bigint, sum(coalesce(served.cost_nano, 0))::bigint
FROM unnest(%(names)s::text[], %(ids)s::text[]) AS named (name, id)
JOIN billing_providerbill AS bill ON bill.model = named.name AND bill.is_current
    AND bill.day BETWEEN %(first)s AND %(last)s
LEFT JOIN billing_servedday AS served ON served.day = bill.day AND served.provider_id = bill.provider_id
    AND served.model_id = named.id
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Billed:
    """What providers billed for a model, and what was charged for the same days, in nano-USD."""

    nano: int
    charged_nano: int


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


def of_models(names: Mapping[str, str], *, first: date, last: date) -> dict[str, Billed]:
    """Return, by our id, what bills that tell models apart say; ``names`` are those that providers use, by our ids."""
    ids, called = list(names), list(names.values())
    with connection.cursor() as cursor:
        cursor.execute(_OF_MODELS, {"names": called, "ids": ids, "first": first, "last": last})
        return {model_id: Billed(billed, charged) for model_id, billed, charged in cursor.fetchall()}
