"""What the dashboard shows of one organization, gathered once for the page and for its live stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString

from accounts.keys import DELETED_KEY
from accounts.models import ApiKey, Organization
from billing import figures, usage, wallets
from billing.models import Outcome, UsageRecord
from billing.usage import Hour
from catalog import publish
from fastanchor.lib.charts import Bar, bar_chart
from fastanchor.templatetags.fa import clock, count, plain_usd, span, usd_exact
from gateway.receipts import receipt_of

MOST_ROWS = 50

_TONES = {
    Outcome.COMPLETED: "good",
    Outcome.UPSTREAM_DIED: "warn",
    Outcome.CUT: "warn",
    Outcome.INTERRUPTED: "warn",
}


_ROW = """<tr class="request" id="{request_id}" data-at="{at}">
  <td class="request-time">{clock}</td>
  <th scope="row" class="request-model"><a href="{address}" title="Receipt of {request_id}"><code>{model}</code></a></th>
  <td class="request-key">{key}</td>
  <td class="request-input is-end" data-label="In">{input}{cached}</td>
  <td class="request-output is-end" data-label="Out">{output}{units}</td>
  <td class="request-took is-end">{took}</td>
  <td class="request-outcome"><span class="badge{tone}">{outcome}</span>{estimated}</td>
  <td class="request-cost is-end">{cost}</td>
</tr>
"""
_CACHED = ' <span class="muted" title="of these from the provider’s cache">({} cached)</span>'
_UNITS_USED = ' <span class="muted">{}</span>'
_ESTIMATED = ' <span class="badge" title="The provider did not report the usage; it is estimated, within the hold.">Estimated</span>'


@dataclass(frozen=True, slots=True)
class Row:
    """One request as the list shows it; ``tone`` is the colour of its outcome, ``units`` what is no token."""

    record: UsageRecord
    key_name: str
    duration: timedelta
    tone: str
    units: str


def row_html(row: Row) -> SafeString:
    """Write one request of the list; a template takes ten times as long, and every tab shows fifty of them."""
    record = row.record
    # All else is made of digits and of our own words, and escaping is most of the work.
    return SafeString(
        _ROW.format(
            request_id=escape(record.request_id),
            at=f"{record.started_at.timestamp():.6f}",
            clock=clock(record.started_at),
            address=reverse("request", args=[record.request_id]),
            model=escape(record.model_id),
            key=escape(row.key_name),
            input=count(record.input_tokens),
            cached=_CACHED.format(count(record.cached_tokens)) if record.cached_tokens else "",
            output=count(record.output_tokens),
            units=_UNITS_USED.format(escape(row.units)) if row.units else "",
            took=span(row.duration),
            tone=f" is-{row.tone}" if row.tone else "",
            outcome=Outcome(record.outcome).label,
            estimated=_ESTIMATED if record.is_estimated else "",
            cost=usd_exact(record.cost_nano),
        )
    )


def balance(*, organization: Organization) -> dict[str, object]:
    """Return the context of ``dashboard/_balance.html``."""
    return {"wallet": wallets.balance_of(organization)}


def numbers(*, organization: Organization, at: datetime) -> dict[str, object]:
    """Return the context of ``_numbers.html``, ``_models.html`` and ``_today.html``, with three charts of the day (UTC)."""
    found = figures.figures(organization=organization, at=at)
    day = usage.day_of(found.hours, at)
    return {
        "figures": found,
        "day": day,
        "requests_chart": _chart("Requests by hour", day.hours, lambda hour: hour.requests, count),
        "tokens_chart": _chart("Tokens by hour", day.hours, lambda hour: hour.tokens, count),
        "spend_chart": _chart("Spend by hour", day.hours, lambda hour: hour.cost_nano, plain_usd),
    }


def rows(*, organization: Organization) -> list[Row]:
    """Return the newest requests, newest first."""
    return _rows(usage.recent(organization=organization, limit=MOST_ROWS))


def _rows(records: Sequence[UsageRecord]) -> list[Row]:
    names = dict(
        ApiKey.objects.filter(id__in={record.key_id for record in records}).values_list("id", "name")
    )
    return [
        Row(
            record=record,
            key_name=names.get(record.key_id, DELETED_KEY),
            duration=record.finished_at - record.started_at,
            tone="bad"
            if record.status >= HTTPStatus.BAD_REQUEST
            else _TONES.get(Outcome(record.outcome), ""),
            units=usage.units_text(record),
        )
        for record in records
    ]


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """A class of tokens or units as people read it; money in pico-USD.

    Pico-USD for a token are micro-USD for a million of them; units (``is_unit``) are priced one by one.
    """

    name: str
    count: int
    rate_picos: int
    picos: int
    is_unit: bool


_UNITS = frozenset({"image", "search", "character", "second"})
_NAMES = {
    "input": "Input tokens",
    "image_input": "Input tokens of pictures",
    "audio_input": "Input tokens of sound",
    "cached_input": "Input tokens read from the cache",
    "cached_audio_input": "Input tokens of sound read from the cache",
    "cache_write": "Input tokens written to the cache",
    "cache_write_1h": "Input tokens written to the cache for an hour",
    "output": "Output tokens",
    "audio_output": "Output tokens of sound",
    "image": "Pictures",
    "search": "Searches",
    "character": "Characters",
    "second": "Seconds",
}


def receipt(*, organization: Organization, request_id: str) -> dict[str, object]:
    """Return the context of ``dashboard/request.html``; raises ``UnknownRequest``."""
    record = usage.find(organization=organization, request_id=request_id)
    found = receipt_of(usage.entry_of(record), publish.find_price(record.price_id))
    return {
        "row": _rows([record])[0],
        "receipt": found,
        "valid_from": found.price and datetime.fromtimestamp(found.price.valid_from_ms / 1_000, UTC),
        "lines": [
            ReceiptLine(_NAMES[line.kind], line.count, line.rate_picos, line.picos, line.kind in _UNITS)
            for line in found.breakdown.lines
        ],
    }


def render(name: str, context: dict[str, object]) -> str:
    """Render one of the dashboard's fragments as the page includes it."""
    return render_to_string(f"dashboard/{name}.html", context)


def _chart(
    name: str, hours: Sequence[Hour], value: Callable[[Hour], int], written: Callable[[int], str]
) -> SafeString:
    bars = [
        Bar(f"{number:02d}:00 to {number + 1:02d}:00 UTC: {written(value(hour))}", value(hour))
        for number, hour in enumerate(hours)
    ]
    return bar_chart(bars, name=f"{name}, today")
