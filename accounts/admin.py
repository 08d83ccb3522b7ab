"""What staff see and change of organizations, plans and keys; people have a module of their own.

Nothing is deleted here: users are deactivated, keys revoked; both stay as the owners of past usage.
"""

from __future__ import annotations

from typing import cast

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from accounts import (
    announcements,
    keys,
    legal_admin,  # noqa: F401 - registers its tables
    notice_admin,  # noqa: F401 - the same
)
from accounts.audit_admin import Audited
from accounts.models import ApiKey, Closure, Membership, OldSecret, Organization, Plan, User
from accounts.organization_note import OrganizationNote
from accounts.staff_lists import QuickList
from accounts.user_admin import KeptForever

# Staff log in where everybody does: with rate limits and a verified address.
admin.site.site_header = admin.site.site_title = "FastAnchor"
admin.site.index_title = "Administration"
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign, no-untyped-call]


@admin.register(Closure)
class ClosureAdmin(KeptForever, QuickList):
    """Deletions of accounts, and what keeps one from being carried out."""

    list_display = ("user", "state", "asked_at", "due_at", "ended_at", "obstacle")
    list_filter = ("state",)
    list_select_related = ("user",)
    of_user = "user"
    ordering = ("-asked_at", "-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only people themselves ask for it."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Closure | None = None) -> bool:
        """Refuse edits; the list asks for the view permission only."""
        return False


@admin.register(Plan)
class PlanAdmin(Audited):
    """Limits that hold within a second of saving."""

    list_display = ("name", "code", "requests_per_minute", "tokens_per_minute", "concurrency", "priority")
    ordering = ("priority", "code")

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        """Keep the code of an existing plan: saving another one would make a second plan."""
        return ("code",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Plan, form: ModelForm[Plan], change: bool) -> None:  # noqa: FBT001 - the signature is Django's
        """Save the plan and tell every process."""
        super().save_model(request, obj, form, change)
        announcements.plan_changed()


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    """The people of an organization."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Organization)
class OrganizationAdmin(KeptForever, Audited, QuickList):
    """Customers, their plan and what they have instead of the plan's limits."""

    personal = ("name",)
    list_display = ("name", "id", "plan", "is_personal", "created_at")
    list_filter = ("plan", "is_personal")
    list_select_related = ("plan",)
    search_fields = ("id__exact",)
    search_help_text = "An id (org_…), or the begin of a name or of a member's e-mail address."
    of_organization = "pk"
    # Ids begin with the time, so their order is that of the organizations.
    ordering = ("-pk",)
    # What is kept of its words, and for how long, an organization alone decides.
    readonly_fields = ("id", "responses_days", "contents_days", "created_at")
    inlines = (MembershipInline,)

    def save_model(
        self,
        request: HttpRequest,
        obj: Organization,
        form: ModelForm[Organization],
        change: bool,  # noqa: FBT001 - the signature is Django's
    ) -> None:
        """Save the organization and tell every process."""
        super().save_model(request, obj, form, change)
        announcements.organization_changed(obj.pk)


@admin.register(OrganizationNote)
class OrganizationNoteAdmin(KeptForever, QuickList):
    """What staff wrote about customers, to read; it is written on the customer's page."""

    list_display = ("at", "organization", "author", "text")
    list_select_related = ("organization", "author")
    of_organization = "organization"
    ordering = ("-pk",)
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the page of a customer has the form."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: OrganizationNote | None = None) -> bool:
        """Refuse: what was said stays said."""
        return False


class OldSecretInline(admin.StackedInline):  # type: ignore[type-arg]
    """What still works beside the key's present secret."""

    model = OldSecret
    fields = readonly_fields = ("prefix", "last4", "replaced_at", "expires_at", "last_seen_at")
    can_delete = False
    extra = 0


@admin.register(ApiKey)
class ApiKeyAdmin(KeptForever, Audited, QuickList):
    """Keys, to look at and to revoke; their owners make them, where the secret can be shown."""

    list_display = (
        "name",
        "kind",
        "prefix",
        "last4",
        "organization",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("kind",)
    list_select_related = ("organization",)
    inlines = (OldSecretInline,)
    search_fields = ("id__exact", "last4__exact")
    search_help_text = (
        "A key (key_…, or its last four letters), or whose it is: org_…, a name, an e-mail address."
    )
    of_organization = "organization"
    # Ids begin with the time, so their order is that of the keys.
    ordering = ("-pk",)
    sortable_by = ()
    exclude = ("digest",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the secret could not be shown."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Refuse edits; the list and its actions need the view permission only."""
        return False

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End the selected keys for good."""
        staff = cast("User", request.user)
        for key in queryset.filter(revoked_at=None):
            keys.revoke(key=key, by=staff)
        self.message_user(request, "The selected keys are revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Ask for the permission to change keys."""
        return request.user.has_perm("accounts.change_apikey")
