"""``/metrics``: how the whole product fares, in the form that Prometheus reads.

Any process answers for all of them, from Valkey and PostgreSQL; nothing is counted on a request's way. Only who bears
``FASTANCHOR_METRICS_TOKEN`` is answered, and nobody where it is not set. A store that is away is told as away, and what
it would have said is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from billing import admission, tally
from billing.models import DeadLetter, DegradedHold, GatewayProcess, ItemState, ReconciliationItem
from catalog.models import Channel
from fastanchor import channel_reports
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)

_SUMS = {
    "requests": "Requests that are in the books.",
    "attempts": "Times that an upstream was asked for them.",
    "input_tokens": "Tokens that they read.",
    "output_tokens": "Tokens that they wrote.",
    "cost_nano": "What they cost, in nano-USD.",
}


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with everything that is measured; 404 without the token."""
    token = settings.METRICS_TOKEN
    if not token or not constant_time_compare(request.headers.get("authorization", ""), f"Bearer {token}"):
        return HttpResponseNotFound()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Product())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Product(Collector):
    """Reads both stores at each look."""

    def collect(self) -> Iterable[Metric]:
        """Return every metric."""
        stores = _gauge("store_up", "Whether a store answers.", "store")
        for name, read, away in (
            ("valkey", _in_valkey, RedisError),
            ("postgresql", _in_postgresql, DatabaseError),
        ):
            found = _told(read, away)
            stores.add_metric([name], float(found is not None))
            yield from found or ()
        # Reported in Valkey and named in PostgreSQL: told only while both answer.
        yield from _told(_channels, (RedisError, DatabaseError)) or ()
        yield stores


def _told(
    read: Callable[[], Iterator[Metric]], away: type[Exception] | tuple[type[Exception], ...]
) -> list[Metric] | None:
    try:
        return list(read())
    except away as exc:
        logger.warning("metrics.store_away", extra={"error": type(exc).__name__})
        return None


def _in_valkey() -> Iterator[Metric]:
    sums, shippers = tally.read(sync_client())
    for name, words in _SUMS.items():
        counter = CounterMetricFamily(f"fastanchor_{name}", words, labels=["provider", "outcome", "status"])
        for each, amount in sums.items():
            if each.name == name:
                counter.add_metric([each.provider, each.outcome, each.status], amount)
        yield counter
    lag = _gauge(
        "settle_lag_seconds", "How long the oldest record of the last round waited to be settled.", "host"
    )
    for shipper in shippers:
        lag.add_metric([shipper.host], shipper.lag_s)
    yield lag


def _channels() -> Iterator[Metric]:
    seen = channel_reports.read()
    labels = ("channel", "provider")
    errors = _gauge("channel_errors_ratio", "Recent failures of a channel among its attempts.", *labels)
    first = _gauge("channel_first_token_seconds", "Recent time to the first token.", *labels)
    whole = _gauge("channel_whole_seconds", "Recent time of whole answers.", *labels)
    running = _gauge("channel_running", "Requests that a channel works on.", *labels)
    paused = _gauge("channel_pause_seconds", "How long a channel is still passed over.", *labels)
    for channel_id, provider in Channel.objects.filter(pk__in=seen).values_list("pk", "provider"):
        view = seen[channel_id]
        amounts = (view.errors, view.first_s, view.whole_s, view.running, view.pause_s)
        for gauge, amount in zip((errors, first, whole, running, paused), amounts, strict=True):
            gauge.add_metric([channel_id, provider], amount)
    yield from (errors, first, whole, running, paused)


def _in_postgresql() -> Iterator[Metric]:
    mode = admission.current()
    yield _one("degraded", "Whether PostgreSQL decides holds because Valkey is away.", mode.is_degraded)
    yield _one("degraded_holds", "Holds that PostgreSQL keeps meanwhile.", DegradedHold.objects.count())
    yield _one(
        "dead_letters",
        "Records that could not be settled.",
        DeadLetter.objects.filter(resolved_at=None).count(),
    )
    is_open = ReconciliationItem.objects.filter(state=ItemState.OPEN)
    yield _one("reconciliation_items_open", "Differences of money that nobody has closed.", is_open.count())
    placed = CounterMetricFamily(
        "fastanchor_holds_placed_in_postgresql",
        "Holds placed while Valkey was away.",
        labels=["host", "process"],
    )
    refused = CounterMetricFamily(
        "fastanchor_requests_undecided",
        "Requests refused because no hold could be decided.",
        labels=["host", "process"],
    )
    answers = _gauge("process_reaches_valkey", "Whether a gateway process reaches Valkey.", "host", "process")
    for process in GatewayProcess.objects.all():
        labels = [process.host, process.spool]
        placed.add_metric(labels, process.placed)
        refused.add_metric(labels, process.refused)
        answers.add_metric(labels, float(process.valkey_answers))
    yield from (placed, refused, answers)


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fastanchor_{name}", words, labels=labels)


def _one(name: str, words: str, amount: float) -> Metric:
    return GaugeMetricFamily(f"fastanchor_{name}", words, value=amount)
