"""Usage: what an organization used, by time, model, key, member or provider; as a page, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from django.http import Http404, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, signed_in
from accounts.keys import DELETED_KEY
from accounts.models import ApiKey, Organization, User
from billing import analytics
from billing.analytics import Group, Numbers, Step, Stretch
from catalog.models import Provider
from fastanchor.lib.spreadsheets import harmless
from fastanchor.pages import usage_asked, usage_report
from fastanchor.pages.usage_asked import Asked
from fastanchor.pages.usage_report import Column, Report, Row, Series
from fastanchor.templatetags.fa import count_short

MOST_ROWS = 50
MOST_DOWNLOADED = 1_000
_MOST_KEYS = 200
_MEMBER = "user_"
_GROUP_NAMES = {"model": "Model", "key": "API key", "member": "Member", "provider": "Provider"}


@signed_in
@require_safe
def usage(request: SignedInRequest) -> HttpResponse:
    """Show what was used; ``?format=csv`` and ``?format=json`` send the table."""
    now = datetime.now(UTC)
    asked = usage_asked.read(request.GET, now)
    keys = _keys(request.organization, asked.key)
    form = request.GET.get("format", "")
    is_page = form not in {"csv", "json"}
    report = usage_report.make(
        asked, request.organization.pk, limit=MOST_ROWS if is_page else MOST_DOWNLOADED
    )
    report = _labelled(report, asked, keys, request.organization)
    if not is_page:
        return _download(report, asked, form)
    context = {
        "asked": asked,
        "report": report,
        "lines": _lines(report.rows, asked, request.GET),
        "keys": keys,
        "models": analytics.models_used(request.organization.pk, asked.stretch),
        "other": report.other and _cells(report.other, asked),
        "total": _cells(report.total, asked),
        "changes": _changes(report.total, request.organization, asked, now),
        "ranges": usage_asked.RANGES,
        "measures": usage_asked.MEASURES,
        "groups": {"time": asked.step_name, **_GROUP_NAMES},
        "group_name": _group_name(asked),
        "activity": _activity(asked),
    }
    return render(request, "dashboard/usage.html", context)


def _group_name(asked: Asked) -> str:
    return f"{asked.step_name} (UTC)" if asked.by is None else _GROUP_NAMES[asked.group]


def _keys(organization: Organization, wanted: str) -> dict[str, str]:
    """Return the names of the organization's newest keys; a wanted key that is not its own is not found."""
    keys = ApiKey.objects.filter(organization=organization)
    names = dict(keys.order_by("-created_at", "pk").values_list("pk", "name")[:_MOST_KEYS])
    if wanted and wanted not in names:
        found = keys.filter(pk=wanted).values_list("name", flat=True).first()
        if found is None:
            raise Http404
        names[wanted] = found
    return names


def _labelled(report: Report, asked: Asked, keys: dict[str, str], organization: Organization) -> Report:
    """Put the names that people know in place of ids."""
    if asked.by is None or asked.by is Group.MODEL:
        return report
    ids = [row.name for row in report.rows]
    names = _key_names(ids, keys, organization) if asked.by is Group.KEY else _names(asked.by, ids)
    series = [_renamed(each, names) for each in report.chart.series]
    return replace(
        report,
        rows=[replace(row, label=names.get(row.name, row.name)) for row in report.rows],
        chart=replace(report.chart, series=series),
    )


def _renamed(series: Series, names: dict[str, str]) -> Series:
    return replace(series, label=names.get(series.label, series.label))


def _key_names(ids: list[str], keys: dict[str, str], organization: Organization) -> dict[str, str]:
    missing = set(ids) - set(keys)
    old = (
        ApiKey.objects.filter(organization=organization, pk__in=missing) if missing else ApiKey.objects.none()
    )
    known = keys | dict(old.values_list("pk", "name"))
    return {name: known.get(name, DELETED_KEY) for name in ids}


def _names(by: Group, ids: list[str]) -> dict[str, str]:
    if by is Group.PROVIDER:
        return dict(Provider.objects.filter(pk__in=ids).values_list("pk", "name"))
    numbers = [int(name.removeprefix(_MEMBER)) for name in ids if name.startswith(_MEMBER)]
    emails = {
        f"{_MEMBER}{pk}": email
        for pk, email in User.objects.filter(pk__in=numbers).values_list("pk", "email")
    }
    return {name: emails.get(name, "Former member" if name else "No member") for name in ids}


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it: its cells, where it is shown by time, and where its requests are listed.

    Either address is empty where there is none.
    """

    row: Row
    cells: list[str]
    by_time: str
    activity: str


def _lines(rows: list[Row], asked: Asked, given: QueryDict) -> list[Line]:
    kept = given.copy()
    for name in ("format", asked.group):
        kept.pop(name, None)
    kept["group"] = "time"
    start = f"?{kept.urlencode()}&{asked.group}="
    narrows = asked.group in {"model", "key"}
    return [
        Line(
            row,
            _cells(row.numbers, asked),
            f"{start}{quote(row.name, safe='')}" if narrows else "",
            _activity_of(row, asked),
        )
        for row in rows
    ]


def _cells(numbers: Numbers, asked: Asked) -> list[str]:
    return [column.shown(numbers) for column in usage_report.TABLES[asked.measure]]


def _activity_of(row: Row, asked: Asked) -> str:
    if asked.group in {"model", "key"}:
        return _activity(asked, **{asked.group: row.name})
    if row.start is not None and asked.step is Step.DAY:
        return _activity(asked, **_moments(Stretch(row.start, row.start + timedelta(days=1))))
    return ""


def _activity(asked: Asked, **narrower: str) -> str:
    """Return where the requests are listed that were summed up."""
    given = {"model": asked.model, "key": asked.key, **_moments(asked.stretch), **narrower}
    return f"{reverse('activity')}?{urlencode({name: value for name, value in given.items() if value})}"


def _moments(stretch: Stretch) -> dict[str, str]:
    """Return a stretch as the log reads it, which takes moments for UTC where no zone is named."""
    return {"since": f"{stretch.start:%Y-%m-%dT%H:%M}", "until": f"{stretch.end:%Y-%m-%dT%H:%M}"}


@dataclass(frozen=True, slots=True)
class Change:
    """A number of the range, and by how many per mille it differs from the one before; ``None`` without one."""

    label: str
    shown: str
    per_mille: int | None
    before: str


def _changes(whole: Numbers, organization: Organization, asked: Asked, now: datetime) -> list[Change]:
    over, earlier = asked.compared(now)
    # The hour that still runs is a few rows, and what is over all but that.
    running = Stretch(over.end, asked.stretch.end)
    rest, before = (
        each.numbers for each in analytics.in_stretches(asked.scope(organization.pk), [running, earlier])
    )
    present = whole.with_added(rest, -1)
    columns = [usage_report.TABLES[name][0] for name in ("spend", "requests", "tokens")]
    columns.append(usage_report.TABLES["errors"][1])
    return [
        Change(
            column.label,
            _short(column, whole),
            _change(column.of(present) or 0, column.of(before) or 0) if column.unit != "rate" else None,
            _short(column, before) if before.requests else "",
        )
        for column in columns
    ]


def _short(column: Column, numbers: Numbers) -> str:
    return count_short(column.of(numbers) or 0) if column.unit == "count" else column.shown(numbers)


def _change(present: int, before: int) -> int | None:
    return (present - before) * 1_000 // before if before else None


def _download(report: Report, asked: Asked, form: str) -> HttpResponse:
    if asked.trouble:
        return HttpResponse(asked.trouble, status=400, content_type="text/plain; charset=utf-8")
    name = f"fastanchor-usage-{asked.first}-{asked.last}.{form}"
    response = _csv(report, asked) if form == "csv" else _json(report, asked)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _all(report: Report) -> list[tuple[str, str, Numbers]]:
    """Return every line of the table, what is not named and the sum of all included."""
    lines = [
        (row.start.isoformat() if row.start else row.name, row.label, row.numbers) for row in report.rows
    ]
    if report.other is not None:
        lines.append(("", f"{report.other_count} others", report.other))
    return [*lines, ("", "Total", report.total)]


def _csv(report: Report, asked: Asked) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", asked.group, *(column.name for column in report.columns)])
    for name, label, numbers in _all(report):
        writer.writerow(
            [harmless(name), harmless(label), *(column.exact(numbers) for column in report.columns)]
        )
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")


def _json(report: Report, asked: Asked) -> HttpResponse:
    given = {"from": f"{asked.first}", "to": f"{asked.last}", "group": asked.group, "measure": asked.measure}
    lines: list[dict[str, object]] = [
        {"id": name, "name": label} | {column.name: column.exact(numbers) for column in report.columns}
        for name, label, numbers in _all(report)
    ]
    *rows, total = lines
    other = rows.pop() if report.other is not None else None
    told = given | {"key": asked.key, "model": asked.model}
    return JsonResponse({**told, "rows": rows, "other": other, "total": total})
