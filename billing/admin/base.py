"""What the pages of staff have in common: they read a page's worth of rows, change nothing, and lead to each other."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.admin.utils import quote, unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.models import User
from accounts.staff_lists import QuickList
from fastanchor.lib.money import cents_to_nanos, exact_usd, short_usd


class Tool(NamedTuple):
    """A button on the page of one row."""

    label: str
    url: str


class ReadOnly:
    """Refuses every change, whatever the permissions."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class ReadOnlyAdmin(ReadOnly, QuickList):
    """Lists that read a page's worth of rows, and pages that may have buttons."""

    change_form_template = "admin/billing/row.html"

    def tools(self, request: HttpRequest, row: Any) -> list[Tool]:
        """Return the buttons that this member of staff has for a row."""
        return []

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a row with its buttons."""
        row = self.get_object(request, unquoted(object_id))
        tools = self.tools(request, row) if row is not None else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "tools": tools})


def page_of(row: Model) -> str:
    """Return the address of the page of one of this app's rows."""
    return reverse(f"admin:billing_{type(row).__name__.lower()}_change", args=[quoted(row)])


def quoted(row: Model) -> str:
    """Return a row's key as the admin writes it in addresses."""
    return str(quote(row.pk))


def unquoted(key: str) -> str:
    """Return a row's key from an address of the admin."""
    return str(unquote(key))


def rows_of(model: type[Model], words: str) -> str:
    """Return the address of a list of this app's that is searched for some words."""
    return f"{reverse(f'admin:billing_{model.__name__.lower()}_changelist')}?q={words}"


def who(actor: str) -> str:
    """Write an actor; a user with the address."""
    kind, _, name = actor.partition(":")
    user = User.objects.filter(pk=name).first() if kind == "user" and name.isdecimal() else None
    return f"{user.email} ({actor})" if user else actor


def usd(nanos: int) -> str:
    """Write nano-USD with all places."""
    return f"${exact_usd(nanos)}" if nanos >= 0 else f"-${exact_usd(-nanos)}"


def cents(amount: int) -> str:
    """Write cents as dollars."""
    return short_usd(cents_to_nanos(amount))
