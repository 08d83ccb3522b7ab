"""What staff does to a customer: a page that says what will happen and asks for a reason, and then the deed.

Where values are typed, they are shown once more before it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.models import Organization
from fastanchor.staff import freezing


class Action(NamedTuple):
    """A button on the page of a customer."""

    label: str
    url_name: str
    permission: str
    is_offered: Callable[[Organization], bool] = lambda _: True


class Button(NamedTuple):
    """One that this reader has."""

    label: str
    url: str


class NotDone(Exception):
    """It could not be done; carries the words that say why."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a page asks to confirm; ``do`` returns the words that say it is done, or raises ``NotDone``."""

    title: str
    words: str
    verb: str
    form: forms.Form
    do: Callable[[Any], str]
    facts: list[tuple[str, object]] = field(default_factory=list)
    # Whether what was typed is shown once more before it is done.
    is_shown_first: bool = False
    # Where it leads to; to the customer's page if nowhere else.
    leads_to: str = ""


ACTIONS = (
    Action("Plan and limits", "customer-plan", "accounts.change_organization"),
    Action("Give credit", "customer-give", "billing.adjust_wallet"),
    Action("Resend a mail", "customer-mail", "accounts.mail_organization"),
    Action("Log in as", "customer-log-in-as", "accounts.hijack_user"),
    Action(
        "Freeze",
        "customer-freeze",
        "accounts.freeze_organization",
        lambda organization: not freezing.is_frozen(organization),
    ),
    Action("Unfreeze", "customer-unfreeze", "accounts.freeze_organization", freezing.is_frozen),
)


def offered(request: HttpRequest, organization: Organization) -> list[Button]:
    """Return the buttons that this member of staff has for a customer."""
    return [
        Button(action.label, reverse(action.url_name, args=[organization.pk]))
        for action in ACTIONS
        if request.user.has_perm(action.permission) and action.is_offered(organization)
    ]


def answer(request: HttpRequest, organization: Organization, deed: Deed) -> HttpResponse:
    """Show the page; with a reason, do what it says and lead back to the customer."""
    form, is_sent = deed.form, request.method == "POST"
    if not is_sent or "_edit" in request.POST or not form.is_valid():
        return _page(request, organization, deed, 422 if is_sent and form.errors else 200)
    if deed.is_shown_first and "_confirm" not in request.POST:
        return _page(request, organization, deed, 200, shown=_typed(form))
    try:
        messages.success(request, deed.do(form))
    except NotDone as exc:
        form.add_error(None, str(exc))
        return _page(request, organization, deed, 422)
    return redirect(deed.leads_to or reverse("customer", args=[organization.pk]))


def _typed(form: forms.Form) -> list[tuple[str, object]]:
    return [(str(bound.label), _said(form, bound.name)) for bound in form.visible_fields()]


def _said(form: forms.Form, name: str) -> object:
    value = form.cleaned_data.get(name)
    return "the plan's" if value is None else form.data.get(name) if isinstance(value, int) else value


def _page(
    request: HttpRequest,
    organization: Organization,
    deed: Deed,
    status: int,
    *,
    shown: list[tuple[str, object]] | None = None,
) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": deed.title,
        "organization": organization,
        "deed": deed,
        "form": deed.form,
        "shown": shown,
    }
    return TemplateResponse(request, "admin/customers/action.html", context, status=status)
