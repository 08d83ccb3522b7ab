"""The audit log as staff read it, and what makes a page of the admin write into it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.models import Group
from django.db.models import BinaryField, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import audit, reasons
from accounts.audit_entry import AuditEntry
from accounts.models import Organization
from accounts.reasons import ReasonedActions
from accounts.staff_lists import Paged
from fastanchor.lib.redaction import GONE


class Audited(Paged):
    """Writes what a page of the admin adds, changes or deletes into the audit log, in the same transaction.

    Each of its forms, and each of its actions, asks why; what is recorded meanwhile, by whatever function, tells it.
    """

    # Fields that tell of a person; the log outlives the account, so it says only that they changed.
    personal: tuple[str, ...] = ()
    action_form: ClassVar[Any] = ReasonedActions
    delete_confirmation_template = "admin/reasons/delete.html"
    delete_selected_confirmation_template = "admin/reasons/delete_selected.html"

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: Any = False,  # noqa: FBT002 - the signature is Django's
        **kwargs: Any,
    ) -> Any:
        """Return the form, and beside the row's own fields one for the reason."""
        if "fields" not in kwargs:
            kwargs["fields"] = flatten_fieldsets(self.get_fieldsets(request, obj))
        if kwargs["fields"] is None:
            # Only the names of the row's fields are asked for.
            return super().get_form(request, obj, change=change, **kwargs)
        kwargs["fields"] = [name for name in kwargs["fields"] if name != reasons.FIELD]
        return reasons.reasoned(super().get_form(request, obj, change=change, **kwargs))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Put the reason last, for whoever may change something."""
        own = super().get_fieldsets(request, obj)
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return [*own, (None, {"fields": (reasons.FIELD,)})] if may else own

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show or save a row."""
        with audit.because(reasons.given(request)):
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Ask whether to delete a row, and why."""
        is_done = request.method == "POST" and self.has_delete_permission(request)
        if is_done and not reasons.given(request):
            return self._ask_for_reason(request)
        with audit.because(reasons.given(request)):
            return super().delete_view(request, object_id, extra_context)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, or do what was chosen of its actions."""
        chosen = request.POST.get("action", "")
        # What is deleted is confirmed on a page that asks for the reason.
        is_done = chosen and (chosen != "delete_selected" or request.POST.get("post"))
        if is_done and not reasons.given(request) and self.has_view_or_change_permission(request):
            return self._ask_for_reason(request)
        with audit.because(reasons.given(request)):
            return super().changelist_view(
                request, {"reason": reasons.given(request), **(extra_context or {})}
            )

    def _ask_for_reason(self, request: HttpRequest) -> HttpResponse:
        self.message_user(request, reasons.MISSING, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: Any = False,  # noqa: FBT002 - the signature is Django's
    ) -> Any:
        """Record what was typed; the page has just been saved."""
        if reasons.FIELD in form.changed_data:
            form.changed_data.remove(reasons.FIELD)
        rows = [row for formset in formsets or () for row in _rows_of(formset)]
        if add or form.changed_data or rows:
            self._record(form, rows, is_new=bool(add))
        return super().construct_change_message(request, form, formsets, add)

    def _record(self, form: Any, rows: list[_Row], *, is_new: bool) -> None:
        own = [name for name in form.fields if name != reasons.FIELD]
        fields = own if is_new else form.changed_data
        before = [row.before for row in rows if row.before]
        after = [row.after for row in rows]
        audit.record(
            f"{self.opts.model_name}.{'added' if is_new else 'changed'}",
            subject=_named(form.instance),
            organization_id=_organization_of(form.instance),
            before=({} if is_new else self._shown(form.initial, fields))
            | ({"rows": before} if before else {}),
            after=self._shown(form.cleaned_data, fields) | ({"rows": after} if after else {}),
        )

    def _shown(self, values: Mapping[str, object], fields: Iterable[str]) -> dict[str, object]:
        return {name: GONE if name in self.personal else _key_of(values.get(name)) for name in fields}

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Record what is about to be deleted."""
        for row in queryset:
            audit.record(
                f"{self.opts.model_name}.deleted",
                subject=_named(row),
                organization_id=_organization_of(row),
                before=self._shown(_values_of(row), _values_of(row)),
            )
        return super().log_deletions(request, queryset)


class _Row(NamedTuple):
    """A row of an inline, before and after the page was saved."""

    before: dict[str, object]
    after: dict[str, object]


def _rows_of(formset: Any) -> Iterator[_Row]:
    forms = {form.instance.pk: form for form in formset.initial_forms}
    for row in formset.new_objects:
        entered: dict[str, Any] = next(
            (form.cleaned_data for form in formset.extra_forms if form.instance is row), {}
        )
        told = {
            name: _key_of(value)
            for name, value in entered.items()
            if value not in (None, "") and name not in {"id", "DELETE", formset.fk.name}
        }
        yield _Row({}, {"added": _named(row)} | told)
    for row, fields in formset.changed_objects:
        was = {name: _key_of(forms[row.pk].initial.get(name)) for name in fields}
        is_now = {name: _key_of(getattr(row, name, None)) for name in fields}
        yield _Row({"changed": _named(row)} | was, {"changed": _named(row)} | is_now)
    for row in formset.deleted_objects:
        # The key is taken from a row that was deleted.
        key = next((pk for pk, form in forms.items() if form.instance is row), row.pk)
        name = f"{type(row).__name__.lower()} {key}"
        yield _Row({"deleted": name} | _values_of(row), {"deleted": name})


def _values_of(row: Model) -> dict[str, object]:
    """Return what a row holds, but for what is nobody's to read."""
    fields = [field for field in row._meta.concrete_fields if not isinstance(field, BinaryField)]  # noqa: SLF001
    return {field.name: field.value_from_object(row) for field in fields}


def _named(row: Model) -> str:
    return f"{type(row).__name__.lower()} {row.pk}"


def _organization_of(row: Model) -> str:
    return str(row.pk) if isinstance(row, Organization) else str(getattr(row, "organization_id", ""))


def _key_of(value: object) -> object:
    if isinstance(value, Group):
        return value.name
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, list | QuerySet):
        return [_key_of(each) for each in value[:50]]
    return value


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
class AuditEntryAdmin(Paged):
    """What was changed, by whom, from where; to read only."""

    list_display = ("at", "who", "address", "what", "subject", "organization_id", "changed", "reason")
    list_display_links = ("at",)
    list_filter = (WhatFilter,)
    ordering = ("-pk",)
    # Found whole, for each of them has an index: see get_search_results.
    search_fields = ("subject", "organization_id", "email", "what")
    search_help_text = "A whole e-mail address, object (key key_…), organization (org_…) or what was done."
    sortable_by = ()
    fields = (
        "at", "who", "user_id", "address", "organization_id", "what", "subject", "reason", "was", "became",
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
        # One condition, so that its index also has the order; what is not written so is an object, or what was done.
        if "@" in term:
            return queryset.filter(email=term.lower()), False
        if term.startswith("org_"):
            return queryset.filter(organization_id=term), False
        is_object = queryset.filter(subject=term).order_by().exists()
        return queryset.filter(**{"subject" if is_object else "what": term}), False

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
