"""What staff see and change of users, organizations, plans and keys.

Nothing is deleted here: users are deactivated, keys revoked; both stay as the owners of past usage.
"""

from __future__ import annotations

from typing import cast

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from accounts import (
    announcements,
    audit,
    keys,
    legal_admin,  # noqa: F401 - registers its tables
    notice_admin,  # noqa: F401 - the same
    sessions,
)
from accounts.audit_admin import Audited
from accounts.models import ApiKey, Closure, Membership, OldSecret, Organization, Plan, User
from accounts.organization_note import OrganizationNote

# Staff log in where everybody does: with rate limits and a verified address.
admin.site.site_header = admin.site.site_title = "FastAnchor"
admin.site.index_title = "Administration"
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign, no-untyped-call]

# allauth's own pages would show sealed secrets and let them be written, and addresses are their owners' to change;
# groups are the roles of fastanchor/staff/roles.py, written anew with each deploy.
admin.site.unregister([Authenticator, UserSession, EmailAddress, Group])


class KeptForever:
    """Takes the delete button away."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: rows of past usage and money name these."""
        return False


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """Asks for an e-mail address instead of a user name."""

    class Meta:
        model = User
        fields = ("email",)

    def clean_email(self) -> str:
        """Store addresses as the sign-up does."""
        return str(self.cleaned_data["email"]).lower()


@admin.register(User)
class UserAdmin(KeptForever, Audited, DjangoUserAdmin):  # type: ignore[type-arg] # generic for the type checker only
    """People; only superusers hand out permissions."""

    add_form = NewUserForm
    personal = ("email", "name")
    ordering = ("-joined_at", "-pk")
    list_display = ("email", "is_active", "is_staff", "joined_at", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email",)
    actions = ("log_out",)
    fieldsets = (
        (None, {"fields": ("email", "name", "password", "is_active")}),
        ("Permissions", {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("joined_at", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Fix the address of an existing user, which allauth keeps too, and permissions for plain staff."""
        fixed: tuple[str, ...] = ("joined_at", "last_login")
        if obj is not None:
            fixed += ("email",)
        if not request.user.is_superuser:
            fixed += ("is_staff", "is_superuser", "groups", "user_permissions")
        return fixed

    @admin.action(description="Log the selected people out everywhere", permissions=["change"])
    def log_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End every session of the selected people."""
        for user in queryset:
            with transaction.atomic():
                count = sessions.end_all(user=user)
                audit.record("user.logged_out", subject=f"user {user.pk}", after={"sessions": count})
        self.message_user(request, "The selected people are logged out everywhere.")


@admin.register(Authenticator)
class AuthenticatorAdmin(Audited):
    """Second factors, to be taken away from people who have lost theirs; their secrets are not shown."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-created_at", "-pk")
    exclude = ("data",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only their owners can make them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        """Refuse edits; the list asks for the view permission only."""
        return False


@admin.register(Closure)
class ClosureAdmin(KeptForever, admin.ModelAdmin):  # type: ignore[type-arg]
    """Deletions of accounts, and what keeps one from being carried out."""

    list_display = ("user", "state", "asked_at", "due_at", "ended_at", "obstacle")
    list_filter = ("state",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
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
class OrganizationAdmin(KeptForever, Audited):
    """Customers, their plan and what they have instead of the plan's limits."""

    personal = ("name",)
    list_display = ("name", "id", "plan", "is_personal", "created_at")
    list_filter = ("plan", "is_personal")
    list_select_related = ("plan",)
    search_fields = ("id", "name", "members__email")
    ordering = ("-created_at", "-pk")
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
class OrganizationNoteAdmin(KeptForever, admin.ModelAdmin):  # type: ignore[type-arg]
    """What staff wrote about customers, to read; it is written on the customer's page."""

    list_display = ("at", "organization", "author", "text")
    list_select_related = ("organization", "author")
    search_fields = ("organization__id__exact",)
    ordering = ("-pk",)
    show_full_result_count = False

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
class ApiKeyAdmin(KeptForever, admin.ModelAdmin):  # type: ignore[type-arg]
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
    search_fields = ("id", "name", "last4", "organization__id", "organization__name")
    ordering = ("-created_at", "-pk")
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
