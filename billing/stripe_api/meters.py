"""Stripe's meter: usage as Stripe counts it, beside our own records."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from billing.stripe_api.client import client, translated

EVENT_NAME = "fastanchor_usage"
# Stripe counts values of no more digits.
MOST_MICRO = 10**15 - 1
_CUSTOMER, _VALUE = "stripe_customer_id", "value"


def tell(*, identifier: str, customer_id: str, value_micro: int, day: date) -> None:
    """Tell of usage on a day, in micro-USD; Stripe knows the same ``identifier`` again for a day at least."""
    with translated():
        client().v1.billing.meter_events.create(
            {
                "event_name": EVENT_NAME,
                "identifier": identifier,
                "payload": {_CUSTOMER: customer_id, _VALUE: str(value_micro)},
                "timestamp": _start(day) + 43_200,
            }
        )


def counted_micro(*, meter_id: str, customer_id: str, day: date) -> int:
    """Return what Stripe has counted for a customer on a day, in micro-USD."""
    with translated():
        summaries = client().v1.billing.meters.event_summaries.list(
            meter_id,
            {
                "customer": customer_id,
                "start_time": _start(day),
                "end_time": _start(day + timedelta(days=1)),
                "limit": 100,
            },
        )
        # Whole numbers of fewer than 16 digits, which Stripe writes as floats.
        return sum(int(each.aggregated_value) for each in summaries.auto_paging_iter())


def meter() -> str:
    """Return the id of our meter, made at the first call."""
    meters = client().v1.billing.meters
    with translated():
        for known in meters.list({"status": "active", "limit": 100}).auto_paging_iter():
            if known.event_name == EVENT_NAME:
                return known.id
        made = meters.create(
            {
                "display_name": "FastAnchor usage (micro-USD)",
                "event_name": EVENT_NAME,
                "default_aggregation": {"formula": "sum"},
                "customer_mapping": {"type": "by_id", "event_payload_key": _CUSTOMER},
                "value_settings": {"event_payload_key": _VALUE},
            },
            {"idempotency_key": f"meter:{EVENT_NAME}"},
        )
    return made.id


def _start(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
