"""Staff's drift report: our price, the list's, and what each model earned; as a page and as a table to download."""

from __future__ import annotations

import csv

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from catalog import price_sync
from fastanchor.lib.spreadsheets import harmless
from fastanchor.staff import drift

_PER_PAGE = 50
_COLUMNS = (
    "model", "provider", "pinned", "verdict", "alarm", "differs", "organizations", "requests", "input_tokens",
    "cached_tokens", "cache_write_tokens", "output_tokens", "revenue_nano_usd", "list_nano_usd", "margin_nano_usd",
    "margin_percent", "usual_rates_only", "billed_nano_usd", "charged_for_the_billed_days_nano_usd",
)  # fmt: skip


@require_safe
@permission_required("catalog.see_drift", raise_exception=True)
def report(request: HttpRequest) -> HttpResponse:
    """Show all models, those first at which zero markup is broken."""
    lines = drift.report(now=timezone.now())
    context = {
        **admin.site.each_context(request),
        "title": "Drift report",
        "page": Paginator(lines, _PER_PAGE).get_page(request.GET.get("page")),
        "alarms": sum(bool(line.alarm) for line in lines),
        "revenue_nano": sum(line.usage.cost_nano for line in lines),
        "margin_nano": sum(line.margin_nano or 0 for line in lines),
        "version": price_sync.installed_version(),
    }
    return TemplateResponse(request, "admin/prices/drift.html", context)


@require_safe
@permission_required("catalog.see_drift", raise_exception=True)
def download(request: HttpRequest) -> HttpResponse:
    """Send the report as CSV; money in whole nano-USD."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="drift.csv"'
    writer = csv.writer(response)
    writer.writerow(_COLUMNS)
    for line in drift.report(now=timezone.now()):
        writer.writerow(_cells(line))
    return response


def _cells(line: drift.Drift) -> list[object]:
    differs = "; ".join(f"{each.rate} ({each.where}) {each.before} -> {each.after}" for each in line.lines)
    used = line.usage
    return [
        harmless(line.model_id), harmless(line.provider_id), line.is_pinned, line.verdict, line.alarm, differs,
        used.organizations, used.requests, used.input_tokens, used.cached_tokens, used.cache_write_tokens,
        used.output_tokens, used.cost_nano, line.list_nano, line.margin_nano, line.margin_percent, line.is_rough,
        *((line.billed.nano, line.billed.charged_nano) if line.billed else ("", "")),
    ]  # fmt: skip
