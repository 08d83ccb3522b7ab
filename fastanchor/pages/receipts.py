"""The page of one request: what it was, what it cost and why, and where its time went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, signed_in
from billing import choices_told, request_log, usage
from billing.models import UsageRecord
from billing.usage import UnknownRequest
from fastanchor import activity, dashboard
from fastanchor.lib.charts import Bar, span_bar
from fastanchor.pages import contents_shown
from fastanchor.templatetags.fa import span
from gateway.money_shown import shown_receipt

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a request's time."""

    name: str
    millis: int

    @property
    def took(self) -> str:
        """How long, for people."""
        return span(self.millis * _MILLISECOND)


@signed_in
@require_safe
def request_page(request: SignedInRequest, request_id: str) -> HttpResponse:
    """Show one request."""
    try:
        context = dashboard.receipt(organization=request.organization, request_id=request_id)
    except UnknownRequest:
        raise Http404 from None
    # What was asked and answered is the customer's, and not for staff who look at their pages.
    is_own = not hasattr(request, "hijacker")
    kept = contents_shown.shown(organization=request.organization, request_id=request_id) if is_own else None
    return render(request, "dashboard/request.html", {**context, **_more(context), "content": kept})


def _more(context: dict[str, Any]) -> dict[str, Any]:
    record: UsageRecord = context["row"].record
    words, tone = activity.ended(record)
    before, after = request_log.beside(record)
    stretches = _stretches(record)
    attempts = usage.attempts_of(record)
    told = msgspec.json.format(msgspec.json.encode({"data": shown_receipt(context["receipt"])}), indent=2)
    return {
        "words": words,
        "tone": tone,
        "before": before,
        "after": after,
        "stretches": stretches,
        "bar": _bar(stretches),
        "attempts": attempts,
        # What a customer's own key was asked in vain is its provider's to bill, or not.
        "are_failures_ours": not any(each.error_code.startswith("own_key_") for each in attempts),
        "choice": choices_told.in_words(record),
        "json": told.decode(),
    }


def _stretches(record: UsageRecord) -> list[Stretch]:
    """Cut a request's time: attempts that failed, the wait for the first token, the rest of the answer."""
    whole = (record.finished_at - record.started_at) // _MILLISECOND
    failed = min(whole, sum(each.ms for each in usage.attempts_of(record) if not each.has_served))
    first = whole if record.first_token_ms is None else min(whole, record.first_token_ms)
    found = [
        Stretch("Attempts that failed", failed),
        Stretch(
            "Until the whole answer" if first == whole else "Until the first token", max(0, first - failed)
        ),
        Stretch("Rest of the answer", whole - max(first, failed)),
    ]
    return [each for each in found if each.millis]


def _bar(stretches: list[Stretch]) -> SafeString:
    parts = [Bar(f"{each.name}: {each.took}", each.millis) for each in stretches]
    return span_bar(parts, name=", ".join(part.title for part in parts))
