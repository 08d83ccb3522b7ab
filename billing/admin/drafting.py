"""Two steps of every booking by staff: a form, then the journal exactly as it will be booked, to be confirmed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from accounts import audit
from accounts.models import User
from billing import adjustments, aside, credit_proposals, drafts, items, ledger, lots, remedies, write_offs
from billing.admin.base import page_of, usd
from billing.drafts import Changed, Draft, Legs
from billing.models import WALLET_CODES, AccountCode, Journal
from billing.stripe_api.client import StripeFault

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    # Generic in the stubs only.
    _ModelAdmin = admin.ModelAdmin


def _more_than_alone(left_nano: int) -> str:
    return (
        f"One person gives an organization at most {usd(adjustments.ALONE_NANO)} within 24 hours; you may give"
        f" {usd(left_nano)} more. Propose it instead: it is booked when a second person approves it."
    )


_WORDS: dict[type[Exception], Callable[[Any], str]] = {
    audit.NoReason: lambda _: "Write a reason.",
    adjustments.NeedsSecondPerson: lambda exc: _more_than_alone(exc.left_nano),
    credit_proposals.OwnProposal: lambda _: "You have proposed this yourself. Somebody else has to decide.",
    credit_proposals.NotOpen: lambda exc: (
        f"This proposal is no longer open: {exc.proposal.get_state_display().lower()}."
    ),
    adjustments.MoreThanLeft: lambda exc: f"The balance is only {usd(exc.left_nano)}.",
    aside.NotLeft: lambda _: "Running requests hold this credit, or Valkey is away. Try again in a minute.",
    lots.AmountNotPositive: lambda _: "Write more than nothing.",
    ledger.KeyReused: lambda _: "This form was sent before with other content. Begin again.",
    write_offs.NotLost: lambda _: "Only a dispute that is lost, and took money, is written off.",
    write_offs.NothingOwed: lambda _: "The wallet is not below zero: there is nothing to write off.",
    remedies.NoRemedy: lambda exc: f"That does not fit this item ({exc}).",
    StripeFault: lambda exc: f"Stripe could not be asked, or refuses ({type(exc).__name__}: {exc}).",
}
_REFUSALS = tuple(_WORDS)


@dataclass(frozen=True, slots=True)
class Page:
    """One form about one row, and what it says of itself."""

    admin: _ModelAdmin
    row: Model
    title: str
    words: str
    form: type[forms.Form]
    initial: dict[str, Any] = field(default_factory=dict)
    verb: str = "Show what will be booked"


def actor_of(request: HttpRequest) -> str:
    """Name the member of staff as journals do."""
    return f"user:{cast('User', request.user).pk}"


def answer(request: HttpRequest, page: Page, draft_of: Callable[[Any], Draft]) -> HttpResponse:
    """Show the form; then what it would book, as ``draft_of`` the form says; then book it."""
    if request.method != "POST":
        return show_form(request, page, page.form(initial=page.initial))
    form = page.form(request.POST)
    if "_edit" in request.POST or not form.is_valid():
        return show_form(request, page, form)
    try:
        draft = draft_of(form)
        if "_confirm" in request.POST:
            return _book(request, page, form, draft)
        return _show_legs(request, page, form, drafts.show(draft))
    except items.AlreadyClosed as exc:
        return already_closed(request, page, exc)
    except _REFUSALS as exc:
        form.add_error(None, _words_for(exc))
        return show_form(request, page, form, may_propose=isinstance(exc, adjustments.NeedsSecondPerson))


def _book(request: HttpRequest, page: Page, form: forms.Form, draft: Draft) -> HttpResponse:
    try:
        with audit.because(form.cleaned_data["reason"]):
            journal = drafts.book(draft, shown=_read(request.POST.get("shown", "")))
    except Changed as exc:
        messages.warning(request, "Something has moved meanwhile: this is what would be booked now.")
        return _show_legs(request, page, form, exc.legs)
    _tell(request, page, journal)
    return HttpResponseRedirect(page_of(page.row))


def _tell(request: HttpRequest, page: Page, journal: Journal) -> None:
    if not journal.is_new:
        messages.info(request, f"This was booked before, by journal {journal.pk}; nothing moved again.")
        return
    messages.success(request, f"Booked as journal {journal.pk}.")
    page.admin.log_change(request, page.row, f"{page.title}: journal {journal.pk}")
    logger.info("admin.booked", extra={"journal": journal.pk, "actor": journal.actor})


def already_closed(request: HttpRequest, page: Page, exc: items.AlreadyClosed) -> HttpResponse:
    """Say who was first, and lead to the item."""
    how = f"by journal {exc.item.journal_id}" if exc.item.journal_id else "without a journal"
    messages.error(request, f"Nothing was booked: {exc.item.closed_by} has closed this item before, {how}.")
    return HttpResponseRedirect(page_of(page.row))


def _words_for(exc: Exception) -> str:
    return next(words(exc) for kind, words in _WORDS.items() if isinstance(exc, kind))


def show_form(
    request: HttpRequest, page: Page, form: forms.Form, *, may_propose: bool = False
) -> HttpResponse:
    """Show a form, with what is wrong in it."""
    shown = [name for name, each in form.fields.items() if not each.widget.is_hidden]
    # It wants no more of a form than any form has.
    adminform = AdminForm(
        cast("forms.ModelForm[Any]", form), [(None, {"fields": shown})], {}, model_admin=page.admin
    )
    status = 422 if form.is_bound and form.errors else 200
    told = {"form": form, "adminform": adminform, "media": page.admin.media + form.media}
    return _render(request, page, {**told, "may_propose": may_propose}, status)


def _show_legs(request: HttpRequest, page: Page, form: forms.Form, legs: Legs) -> HttpResponse:
    rows = [
        {"account": AccountCode(code).label, "code": str(code), "amount": usd(amount)}
        for code, amount in sorted(legs.items())
    ]
    gains = -sum(amount for code, amount in legs.items() if code in WALLET_CODES)
    facts = [(bound.label, _value(form, bound.name)) for bound in form.visible_fields()]
    told = {"form": form, "legs": rows, "shown": _written(legs), "facts": facts}
    return _render(request, page, {**told, "gains": usd(gains) if gains else ""}, 200)


def _value(form: forms.Form, name: str) -> str:
    value = form.cleaned_data.get(name)
    return str(form.data.get(name, "")) if isinstance(value, int) else str(value or "-")


def _render(request: HttpRequest, page: Page, told: dict[str, Any], status: int) -> HttpResponse:
    context = {
        **page.admin.admin_site.each_context(request),
        "opts": page.admin.opts,
        "original": page.row,
        "row_url": page_of(page.row),
        "title": page.title,
        "words": page.words,
        "verb": page.verb,
        **told,
    }
    return render(request, "admin/billing/draft.html", context, status=status)


def _written(legs: Legs) -> str:
    return ",".join(f"{code}:{amount}" for code, amount in sorted(legs.items()))


def _read(text: str) -> Legs:
    """Read what ``_written`` wrote; anything else is nothing, which no journal is."""
    try:
        pairs = [leg.split(":") for leg in text.split(",")]
        return {AccountCode(code): int(amount) for code, amount in pairs}
    except ValueError:
        return {}
