"""Exports: asking for them, watching them grow, downloading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.core.files.storage import storages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from kombu.exceptions import OperationalError

from accounts.access import SignedInRequest, signed_in
from billing import request_log
from billing.exports import jobs, writers
from billing.exports.request_columns import COLUMNS
from billing.models import Export, ExportState
from fastanchor import takeout
from fastanchor.celery import app as celery
from fastanchor.pages import request_choices
from fastanchor.pages.export_form import ExportForm

PAGE_SIZE = 20
_READ_BYTES = 256 * 1024
TOO_MANY = "Two exports are being written. Wait until one is ready, or cancel one."


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def export_list(request: SignedInRequest) -> HttpResponse:
    """Show the organization's exports, and take the wish for another."""
    if request.method == "POST":
        return _ask(request)
    return _list(request, _form(request, request.GET))


def _ask(request: SignedInRequest) -> HttpResponse:
    form = _form(request, request.POST)
    if not form.is_valid():
        return _list(request, form, status=422)
    try:
        export = jobs.ask(
            organization=request.organization,
            by=request.user,
            kind="requests",
            file_format=form.cleaned_data["file_format"],
            wanted=form.selection(at=datetime.now(UTC)).as_json(),
        )
    except jobs.TooMany:
        form.add_error(None, TOO_MANY)
        return _list(request, form, status=422)
    transaction.on_commit(lambda: begin(export))
    return redirect("export", export.pk)


def begin(export: Export) -> None:
    """Wake a worker; where the broker is away, the schedule finds the export within seconds of its return."""
    with suppress(OperationalError, OSError):
        celery.send_task("billing.tasks.write_export", (export.pk,), retry=False)


def _form(request: SignedInRequest, values: Any) -> ExportForm:
    choices = request_choices.of(request.organization)
    first = request_log.first_start(request.organization) or datetime.now(UTC)
    return ExportForm(values, keys=choices.keys, models=choices.models, first=first)


def _list(request: SignedInRequest, form: ExportForm, status: int = 200) -> HttpResponse:
    page = Paginator(_visible(request), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "exports": [shown(export) for export in page], "columns": COLUMNS}
    return render(request, "exports/list.html", context, status=status)


@signed_in
@require_safe
def export_page(request: SignedInRequest, export_id: str) -> HttpResponse:
    """Show one export, where the mail leads to."""
    export = _own(request, export_id)
    return render(request, "exports/export.html", {"one": shown(export)})


@signed_in
@require_safe
def export_progress(request: SignedInRequest, export_id: str) -> HttpResponse:
    """Send an export's card anew, for the script that watches it."""
    export = _own(request, export_id)
    return render(request, "exports/_export.html", {"one": shown(export)})


@signed_in
@require_POST
def cancel_export(request: SignedInRequest, export_id: str) -> HttpResponse:
    """Stop an export."""
    if jobs.cancel(_own(request, export_id)):
        messages.success(request, "The export is cancelled.")
    else:
        messages.info(request, "The export had ended already.")
    return redirect("exports")


@signed_in
@require_safe
def download(request: SignedInRequest, export_id: str) -> HttpResponseBase:
    """Send an export's file."""
    export = _own(request, export_id)
    if export.state != ExportState.DONE:
        messages.error(request, "This export has no file: ask for it again.")
        return redirect("export", export.pk)
    name = f"{writers.of(export.kind).stem(export)}.{export.file_format}"
    # A ZIP is packed as it is: browsers take the wrapping off.
    is_zip = export.file_format == "zip"
    name, kind = (name, "application/zip") if is_zip else (f"{name}.gz", "application/gzip")
    headers = {
        **({"Content-Encoding": "gzip"} if is_zip else {}),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(export.size),
        "X-Content-Type-Options": "nosniff",
    }
    # Django would gather what is not asynchronous in memory first, FileResponse's own pieces as well.
    return StreamingHttpResponse(_bytes_of(export), content_type=kind, headers=headers)


async def _bytes_of(export: Export) -> AsyncIterator[bytes]:
    for part in export.parts:
        with await asyncio.to_thread(storages[jobs.STORAGE].open, part["name"]) as file:
            while piece := await asyncio.to_thread(file.read, _READ_BYTES):
                yield piece


def _own(request: SignedInRequest, export_id: str) -> Export:
    export = _visible(request).filter(pk=export_id).first()
    if export is None:
        raise Http404
    return export


def _visible(request: SignedInRequest) -> QuerySet[Export]:
    """Return the organization's exports, but for those of other members' accounts."""
    of_others = Q(kind=takeout.KIND) & ~Q(asked_by=request.user)
    return jobs.of(request.organization).exclude(of_others)


def shown(export: Export) -> dict[str, Any]:
    """Return what the templates show of an export."""
    about = export.rows_about or 0
    return {
        "export": export,
        "title": writers.of(export.kind).title(export),
        "percent": min(99, export.rows_done * 100 // about) if about else None,
        "is_ready": export.state == ExportState.DONE,
    }
