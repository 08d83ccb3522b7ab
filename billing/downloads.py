"""What people take away: transactions as CSV, invoices, receipts and statements as PDF."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, signed_in
from accounts.models import Organization
from billing import documents, invoices, statements, transactions
from billing.models import TopUp, TopUpStatus
from billing.months import Month, NotAMonth
from billing.transactions import Line
from fastanchor.lib.money import exact_usd

_COLUMNS: tuple[str, ...] = ("time_utc", "kind", "description", "amount_usd", "balance_usd", "journal")
_AT_ONCE = 500


@require_safe
@signed_in
def export(request: SignedInRequest) -> StreamingHttpResponse:
    """Send every journal of the organization, oldest first, with all nine places."""
    headers = {"Content-Disposition": 'attachment; filename="fastanchor-transactions.csv"'}
    return StreamingHttpResponse(
        rows_of(request.organization), content_type="text/csv; charset=utf-8", headers=headers
    )


async def rows_of(organization: Organization) -> AsyncIterator[str]:
    """Yield the export in pieces: it may be of any length."""
    piece = [_COLUMNS]
    async for line in transactions.every(organization):
        piece.append(_row(line))
        if len(piece) == _AT_ONCE:
            yield _written(piece)
            piece = []
    if piece:
        yield _written(piece)


def _row(line: Line) -> tuple[str, ...]:
    at = line.at.astimezone(UTC).isoformat(timespec="microseconds")
    return (at, line.kind, line.words, exact_usd(line.amount_nano), exact_usd(line.balance_nano), line.id)


def _written(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


@require_safe
@signed_in
def receipt(request: SignedInRequest, top_up_id: str) -> HttpResponse:
    """Send the receipt of a top-up that was paid."""
    own = TopUp.objects.select_related("organization", "journal").filter(
        organization=request.organization, status=TopUpStatus.SUCCEEDED
    )
    top_up = get_object_or_404(own, pk=top_up_id)
    return _pdf(documents.receipt(top_up), f"fastanchor-receipt-{top_up.pk}.pdf")


@require_safe
@signed_in
def invoice(request: SignedInRequest, number: str) -> HttpResponse:
    """Send an invoice, or what corrects one."""
    own = invoices.of(request.organization).select_related("journal", "corrects")
    written = get_object_or_404(own, pk=number)
    return _pdf(documents.invoice(written), f"fastanchor-{written.kind.replace('_', '-')}-{written.pk}.pdf")


@require_safe
@signed_in
def statement(request: SignedInRequest, code: str) -> HttpResponse:
    """Send the statement of a month."""
    try:
        made = statements.make(organization=request.organization, month=Month.parse(code))
    except (NotAMonth, statements.NoStatement):
        raise Http404 from None
    return _pdf(documents.statement(made), f"fastanchor-statement-{code}.pdf")


def _pdf(content: bytes, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type="application/pdf", headers=headers)
