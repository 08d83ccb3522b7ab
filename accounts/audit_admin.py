"""The audit log as staff read it, and what makes a page of the admin write into it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import audit
from accounts.audit_entry import AuditEntry
from accounts.models import Organization
from fastanchor.lib.redaction import GONE

# Counting more rows than anyone pages through would read the whole table.
MOST_COUNTED = 10_000

if TYPE_CHECKING:
    # These are generic for the type checker only.
    _AuditEntryAdmin = admin.ModelAdmin[AuditEntry]
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _AuditEntryAdmin = _ModelAdmin = admin.ModelAdmin
    _Paginator = Paginator


class Audited(_ModelAdmin):
    """Writes what a page of the admin adds, changes or deletes into the audit log, in the same transaction."""

    # Fields that tell of a person; the log outlives the account, so it says only that they changed.
    personal: tuple[str, ...] = ()

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: Any = False,  # noqa: FBT002 - the signature is Django's
    ) -> Any:
        """Record what was typed; the page has just been saved."""
        rows = [row for formset in formsets or () for row in _rows_of(formset)]
        if add or form.changed_data or rows:
            self._record(form, rows, is_new=bool(add))
        return super().construct_change_message(request, form, formsets, add)

    def _record(self, form: Any, rows: list[dict[str, object]], *, is_new: bool) -> None:
        # The form for a password has a user instead of an instance.
        row = form.instance if hasattr(form, "instance") else form.user
        fields = list(form.fields) if is_new else form.changed_data
        audit.record(
            f"{self.opts.model_name}.{'added' if is_new else 'changed'}",
            subject=_named(row),
            organization_id=_organization_of(row),
            before={} if is_new else self._shown(form.initial, fields),
            after=self._shown(form.cleaned_data, fields) | ({"rows": rows} if rows else {}),
        )

    def _shown(self, values: Mapping[str, object], fields: Iterable[str]) -> dict[str, object]:
        return {name: GONE if name in self.personal else _key_of(values.get(name)) for name in fields}

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Record what is about to be deleted."""
        for row in queryset:
            audit.record(
                f"{self.opts.model_name}.deleted", subject=_named(row), organization_id=_organization_of(row)
            )
        return super().log_deletions(request, queryset)


def _rows_of(formset: Any) -> Iterator[dict[str, object]]:
    for row in formset.new_objects:
        yield {"added": _named(row)} | {
            name: _key_of(value)
            for form in formset.extra_forms
            if form.instance is row
            for name, value in form.cleaned_data.items()
            if value not in (None, "") and name not in {"id", "DELETE", formset.fk.name}
        }
    for row, fields in formset.changed_objects:
        yield {"changed": _named(row)} | {name: _key_of(getattr(row, name, None)) for name in fields}
    for row in formset.deleted_objects:
        yield {"deleted": _named(row)}


def _named(row: Model) -> str:
    return f"{type(row).__name__.lower()} {row.pk}"


def _organization_of(row: Model) -> str:
    return str(row.pk) if isinstance(row, Organization) else str(getattr(row, "organization_id", ""))


def _key_of(value: object) -> object:
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, list | QuerySet):
        return [_key_of(each) for each in value[:50]]
    return value


class BoundedPaginator(_Paginator):
    """Counts no further than ``MOST_COUNTED`` rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows that can be paged through."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:MOST_COUNTED].count()


class WhatFilter(admin.SimpleListFilter):
    """Entries about one kind of thing."""

    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer what entries begin with."""
        kinds = (
            "account", "apikey", "auto_top_up", "bill", "budgets", "catalog", "catalogmodel", "channel",
            "credit_proposal", "factor", "key", "login_as", "mail", "membership", "money", "notice", "organization", "plan", "price",
            "refund", "staff", "user", "wallet",
        )  # fmt: skip
        return [(kind, kind) for kind in kinds]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Keep what begins so; a range, so that the index finds it in any collation."""
        chosen = self.value()
        return queryset.filter(what__startswith=f"{chosen}.") if chosen else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(_AuditEntryAdmin):
    """What was changed, by whom, from where; to read only."""

    list_display = ("at", "who", "address", "what", "subject", "organization_id", "changed")
    list_display_links = ("at",)
    list_filter = (WhatFilter,)
    ordering = ("-pk",)
    # Found whole, for each of them has an index: see get_search_results.
    search_fields = ("subject", "organization_id", "email", "what")
    search_help_text = "A whole e-mail address, object (key key_…), organization (org_…) or what was done."
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    sortable_by = ()
    fields = (
        "at", "who", "user_id", "address", "organization_id", "what", "subject", "was", "became",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        """Name the person as at that moment, or the process."""
        return entry.email or entry.process or f"deleted user {entry.user_id}"

    @admin.display(description="changed")
    def changed(self, entry: AuditEntry) -> str:
        """Name the fields."""
        return ", ".join(sorted(entry.before.keys() | entry.after.keys()))[:120]

    @admin.display(description="before")
    def was(self, entry: AuditEntry) -> SafeString:
        """Show what was there."""
        return _written(entry.before)

    @admin.display(description="after")
    def became(self, entry: AuditEntry) -> SafeString:
        """Show what is there since."""
        return _written(entry.after)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Look for whole values, by index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(subject=term) | Q(organization_id=term) | Q(email=term.lower()) | Q(what=term)
        return queryset.filter(found), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: changes write it."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        """Refuse."""
        return False


def _written(values: dict[str, Any]) -> SafeString:
    return (
        format_html("<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False))
        if values
        else SafeString("-")
    )
