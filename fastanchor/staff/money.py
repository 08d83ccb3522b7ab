"""Staff's pages of the business: revenue, cost, margin and liabilities by month and by day, and the file of them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from billing import business, capture, ledger_days, provider_costs
from billing.business import FIGURES, Figure, Period
from billing.ledger_days import Step
from billing.models import AccountCode, ServedDay
from billing.months import Month, NotAMonth
from fastanchor.lib.charts import Bar, bar_chart
from fastanchor.lib.money import exact_usd, short_usd
from fastanchor.staff import rate_lines

PERMISSION = "billing.view_figures"
MONTHS = 24
# More days than one file has; a longer history is several files.
MOST_DAYS = 3_700
_MOST_MODELS = 100
DERIVED = (
    ("cost_at_list", "Cost at list", "What providers' list prices say of the requests that they served"),
    ("cost", "Cost", "What providers billed, and their list prices where no bill is here"),
    ("gross_margin", "Gross margin", "Revenue less cost"),
    (
        "margin",
        "Margin",
        "Gross margin and expired credit, less promo expense, fees and write-offs",
    ),
    ("paid_balances", "Paid balances", "What customers have bought and not used, at the end"),
    ("promo_balances", "Promo balances", "What customers have been given and not used, at the end"),
)
_ALL = {each[0]: each for each in (*((each.slug, each.label, each.words) for each in FIGURES), *DERIVED)}
# What is asked for most comes first, for a narrow screen ends somewhere.
COLUMNS = tuple(
    _ALL[slug]
    for slug in (
        "revenue", "cost", "gross_margin", "margin", "cash_in", "refunds", "disputes", "fees", "promo_expense",
        "promo_used", "expired", "write_offs", "corrections", "cost_at_list", "paid_balances", "promo_balances",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: where it leads, and its figures in the order of the columns."""

    label: str
    url: str
    values: list[int]


def _row(period: Period, *, label: str, url: str) -> Row:
    return Row(label, url, _values(period))


def _values(period: Period) -> list[int]:
    values = period.values
    return [values[slug] for slug, _, _ in COLUMNS]


def _chart(periods: Iterable[Period], *, name: str, form: str) -> SafeString:
    bars = [
        Bar(f"{each.start:{form}}: {short_usd(each.values['revenue'])}", max(0, each.values["revenue"]))
        for each in periods
    ]
    return bar_chart(bars, name=name)


def _page(request: HttpRequest, template: str, title: str, **told: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, "columns": COLUMNS, **told}
    return TemplateResponse(request, f"admin/money/{template}.html", context)


@require_safe
@permission_required(PERMISSION, raise_exception=True)
def months(request: HttpRequest) -> HttpResponse:
    """Show the last months."""
    last = Month.of(timezone.now())
    first = last
    for _ in range(MONTHS - 1):
        first = first.previous
    periods = business.report(first=first.start.date(), last=last.last_day, step=Step.MONTH)
    rows = [
        _row(each, label=f"{each.start:%B %Y}", url=reverse("money-month", args=[f"{each.start:%Y-%m}"]))
        for each in reversed(periods)
    ]
    chart = _chart(periods, name="Revenue by month", form="%B %Y")
    begun = business.first_day() or last.start.date()
    return _page(
        request, "months", "Money", rows=rows, chart=chart, export_first=begun, export_last=last.last_day
    )


@require_safe
@permission_required(PERMISSION, raise_exception=True)
def month(request: HttpRequest, month: str) -> HttpResponse:
    """Show one month day by day, with its sum."""
    try:
        shown = Month.parse(month)
    except NotAMonth:
        raise Http404 from None
    first, last = shown.start.date(), shown.last_day
    periods = business.report(first=first, last=last, step=Step.DAY)
    rows = [
        _row(each, label=f"{each.start}", url=reverse("money-day", args=[each.start.isoformat()]))
        for each in periods
    ]
    told = {
        "rows": rows,
        "chart": _chart(_every_day(periods, first, last), name="Revenue by day", form="%Y-%m-%d"),
        "total": _row(business.in_all(periods), label="In all", url="") if periods else None,
        "month": shown,
        "export_first": first,
        "export_last": last,
    }
    return _page(request, "month", f"Money in {shown.name}", **told)


def _every_day(periods: list[Period], first: date, last: date) -> list[Period]:
    """Return a period for each day, so that a quiet day is a gap in the chart and not left out."""
    by_day = {each.start: each for each in periods}
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [by_day.get(day, Period(day)) for day in days]


@require_safe
@permission_required(PERMISSION, raise_exception=True)
def day(request: HttpRequest, day: str) -> HttpResponse:
    """Show one day: each figure with the journals behind it, every account, and what providers served and billed."""
    shown = _day(day)
    periods = business.report(first=shown, last=shown, step=Step.DAY)
    before = ledger_days.balances(before=shown)
    period = periods[0] if periods else Period(shown, closing=before)
    told = {
        "day": shown,
        "month": Month(shown.year, shown.month),
        "figures": _figures(period, shown),
        "accounts": _accounts(period, before, shown),
        "rates": rate_lines.of(capture.rates(first=shown, last=shown)),
        "served": _served(shown),
    }
    return _page(request, "day", f"Money on {shown}", **told)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Http404 from None


def _figures(period: Period, shown: date) -> list[dict[str, Any]]:
    links = {each.slug: _journals(shown, each) for each in FIGURES}
    values = period.values
    return [
        {"label": label, "words": words, "nano": values[slug], "url": links.get(slug, "")}
        for slug, label, words in COLUMNS
    ]


def _journals(shown: date, figure: Figure) -> str:
    """Return the address of the journals that a figure is made of."""
    return _list(shown, figure=figure.slug)


def _served(shown: date) -> list[dict[str, Any]]:
    names = rate_lines.provider_names()
    rows = ServedDay.objects.filter(day=shown).order_by("-cost_nano", "pk")[:_MOST_MODELS]
    return [{"row": row, "provider": names.get(row.provider_id, row.provider_id)} for row in rows]


def _list(shown: date, **more: str) -> str:
    query = urlencode({"day": shown.isoformat(), **more})
    return f"{reverse('admin:billing_journal_changelist')}?{query}"


def _accounts(period: Period, before: dict[AccountCode, int], shown: date) -> list[dict[str, Any]]:
    """Return each account that has money or moved: what stood on it, what moved, what stands on it after."""
    moved: dict[AccountCode, int] = {}
    for (_, code), nano in period.booked.items():
        moved[code] = moved.get(code, 0) + nano
    return [
        {
            "label": code.label,
            "code": code.value,
            "before": before.get(code, 0),
            "moved": moved.get(code, 0),
            "after": period.closing.get(code, 0),
            "url": _list(shown, account=code.value) if code in moved else "",
        }
        for code in AccountCode
        if code in moved or before.get(code, 0)
    ]


@require_safe
@permission_required(PERMISSION, raise_exception=True)
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Send the days of a range as CSV, in dollars with all nine places."""
    first, last = _day(request.GET.get("first", "")), _day(request.GET.get("last", ""))
    if not first <= last <= first + timedelta(days=MOST_DAYS):
        return HttpResponse(f"A file has at most {MOST_DAYS:,} days, the first one first.", status=400)
    costs = provider_costs.by_step(first=first, last=last, step=Step.DAY)
    running = ledger_days.balances(before=first)
    days = business.days(first=first, last=last, costs=costs, running=running)
    name = f"fastanchor-money-{first}-{last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(_lines(days), content_type="text/csv; charset=utf-8", headers=headers)


async def _lines(days: AsyncIterator[Period]) -> AsyncIterator[str]:
    yield _written(["day", *(f"{slug}_usd" for slug, _, _ in COLUMNS)])
    async for each in days:
        yield _written([each.start.isoformat(), *map(exact_usd, _values(each))])


def _written(row: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(row)
    return text.getvalue()
