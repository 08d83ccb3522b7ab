"""Staff's pages of what providers billed: the capture rate by provider and day, uploads, and confirmations."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import reasons
from billing import bill_lines, capture, provider_bills
from billing.admin.base import who
from billing.admin.drafting import actor_of
from billing.models import BillFile, BillState
from billing.months import Month, NotAMonth
from billing.provider_bills import Replaced, Upload
from catalog.models import Provider
from fastanchor.staff import rate_lines
from fastanchor.staff.money import PERMISSION

UPLOAD = "billing.upload_bill"
_PER_PAGE = 50


class UploadForm(forms.Form):
    """A provider's bill."""

    provider = forms.ModelChoiceField(Provider.objects.order_by("name", "pk"), to_field_name="slug")
    file = forms.FileField(help_text="CSV with the columns day, model and amount_usd.")
    reason = reasons.field(help_text="What it is, such as: invoice of November.")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(PERMISSION, raise_exception=True)
def bills(request: HttpRequest) -> HttpResponse:
    """Show the capture rate of a month and the files that came; take another."""
    may_upload = request.user.has_perm(UPLOAD)
    if request.method == "POST" and not may_upload:
        return HttpResponse("Forbidden", status=403)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        answer = _upload(request, form)
        if answer is not None:
            return answer
    return _show(request, form if may_upload else None)


def _upload(request: HttpRequest, form: UploadForm) -> HttpResponse | None:
    """Take a file and lead to its page; ``None`` where the form now says what is wrong with it."""
    given = form.cleaned_data["file"]
    wanted = Upload(
        provider_id=form.cleaned_data["provider"].slug,
        name=given.name,
        content=given.read(bill_lines.MOST_BYTES + 1),
        reason=form.cleaned_data["reason"],
        actor=actor_of(request),
    )
    try:
        file = provider_bills.upload(wanted, today=timezone.now().astimezone(UTC).date())
    except bill_lines.NotABill as exc:
        for fault in exc.faults:
            form.add_error("file", fault)
        return None
    except provider_bills.UploadedBefore as exc:
        messages.info(request, f"This very file came before, as {exc.file.name}; nothing was taken again.")
        return redirect("money-bill", exc.file.pk)
    if file.state == BillState.WAITING:
        messages.warning(request, "Some of its days are billed already. Compare, then confirm or discard.")
    else:
        messages.success(request, f"{file.lines} lines of {file.name} are in force.")
    return redirect("money-bill", file.pk)


def _show(request: HttpRequest, form: UploadForm | None) -> HttpResponse:
    shown = _month(request)
    rates = capture.rates(first=shown.start.date(), last=shown.last_day)
    told: dict[str, Any] = {
        "form": form,
        "month": shown,
        "rates": rate_lines.of(rates),
        "files": Paginator(BillFile.objects.order_by("-pk"), _PER_PAGE).get_page(request.GET.get("page")),
        "query": f"month={shown.code}",
        "least": f"{capture.LEAST // 10}.{capture.LEAST % 10}",
        "most": f"{capture.MOST // 10}.{capture.MOST % 10}",
    }
    status = 422 if form is not None and form.is_bound else 200
    return _page(request, "bills", "Provider bills", status=status, **told)


def _month(request: HttpRequest) -> Month:
    try:
        return Month.parse(request.GET.get("month", ""))
    except NotAMonth:
        return Month.of(timezone.now())


def _page(request: HttpRequest, template: str, title: str, *, status: int = 200, **told: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, **told}
    return TemplateResponse(request, f"admin/money/{template}.html", context, status=status)


@require_safe
@permission_required(PERMISSION, raise_exception=True)
def bill(request: HttpRequest, file_id: int) -> HttpResponse:
    """Show one file: its lines, and while it waits what it would replace."""
    file = get_object_or_404(BillFile, pk=file_id)
    is_waiting = file.state == BillState.WAITING
    lines = Paginator(file.bills.order_by("day", "model", "pk"), _PER_PAGE)
    replaced = provider_bills.replaced_by(file) if is_waiting else []
    told: dict[str, Any] = {
        "file": file,
        "provider": rate_lines.provider_names().get(file.provider_id, file.provider_id),
        "uploaded_by": who(file.uploaded_by),
        "confirmed_by": who(file.confirmed_by),
        "lines": lines.get_page(request.GET.get("page")),
        "replaced": replaced,
        "shown": _told(replaced),
        "may_upload": request.user.has_perm(UPLOAD),
        "is_waiting": is_waiting,
    }
    return _page(request, "bill", f"Bill {file.name}", **told)


def _told(replaced: list[Replaced]) -> str:
    return ",".join(f"{each.day}:{each.was_nano}:{each.becomes_nano}" for each in replaced)


@require_POST
@permission_required(UPLOAD, raise_exception=True)
def confirm(request: HttpRequest, file_id: int) -> HttpResponse:
    """Let a waiting file replace what is there, if that is still what was shown."""
    file = get_object_or_404(BillFile, pk=file_id)
    replaced = provider_bills.replaced_by(file)
    if _told(replaced) != request.POST.get("shown", ""):
        messages.warning(request, "Something has changed meanwhile: this is what it would replace now.")
        return redirect("money-bill", file_id)
    try:
        provider_bills.confirm(file, shown=replaced, actor=actor_of(request))
    except (provider_bills.NotWaiting, provider_bills.Changed):
        messages.warning(request, "Somebody else was quicker; nothing was replaced again.")
    else:
        messages.success(request, f"{file.name} is in force for its days.")
    return redirect("money-bill", file_id)


@require_POST
@permission_required(UPLOAD, raise_exception=True)
def discard(request: HttpRequest, file_id: int) -> HttpResponse:
    """Forget a waiting file."""
    file = get_object_or_404(BillFile, pk=file_id)
    try:
        provider_bills.discard(file)
    except provider_bills.NotWaiting:
        messages.warning(request, "The file is in force: upload a right one, which replaces it.")
        return redirect("money-bill", file_id)
    messages.success(request, f"{file.name} is forgotten.")
    return redirect("money-bills")
