"""People as staff see and change them, and who may make whom staff.

Nobody's password is set here: who has lost it asks for a mail. Roles are given by whoever holds ``assign_roles``, never
to themselves; superusers are made by superusers alone, and nobody has single permissions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern

from accounts import audit, sessions, staff_roles
from accounts.audit_admin import Audited
from accounts.models import User
from accounts.staff_lists import QuickList

# allauth's own pages would show sealed secrets and let them be written, and addresses be taken for verified; what a group
# holds is written in fastanchor.staff.roles alone.
admin.site.unregister([Authenticator, UserSession, EmailAddress, Group])

_RIGHTS = ("is_staff", "groups")

if TYPE_CHECKING:
    # Generic for the type checker only.
    _ModelForm = forms.ModelForm[User]
    _DjangoUserAdmin = DjangoUserAdmin[User]
    _NewUserForm = AdminUserCreationForm[User]
else:
    _ModelForm, _DjangoUserAdmin, _NewUserForm = forms.ModelForm, DjangoUserAdmin, AdminUserCreationForm


class KeptForever:
    """Takes the delete button away."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: rows of past usage and money name these."""
        return False


class NewUserForm(_NewUserForm):
    """Asks for an e-mail address instead of a user name."""

    class Meta:
        model = User
        fields = ("email",)

    def clean_email(self) -> str:
        """Store addresses as the sign-up does."""
        return str(self.cleaned_data["email"]).lower()


class UserForm(_ModelForm):
    """A person without the password, which Django's own form shows by its digest."""

    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(KeptForever, Audited, QuickList, _DjangoUserAdmin):
    """People, and the roles of those who are staff."""

    form = UserForm
    add_form = NewUserForm
    personal = ("email", "name")
    # Numbers are given in the order of joining.
    ordering = ("-pk",)
    list_display = ("email", "is_active", "is_staff", "joined_at", "last_login")
    list_filter = ("is_active", "is_staff", ("groups", admin.RelatedOnlyFieldListFilter))
    search_fields = ("email__iexact",)
    search_help_text = "The begin of an e-mail address, or user_ and a number."
    of_user = "pk"
    actions = ("log_out",)
    sortable_by = ("email", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "is_active")}),
        ("Roles", {"fields": (*_RIGHTS, "is_superuser")}),
        ("Dates", {"fields": ("joined_at", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    @admin.action(description="Log the selected people out everywhere", permissions=["change"])
    def log_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End every session of the selected people."""
        reader = cast("User", request.user)
        for user in queryset:
            if not staff_roles.may_touch(reader, user):
                continue
            with transaction.atomic():
                count = sessions.end_all(user=user)
                audit.record("user.logged_out", subject=f"user {user.pk}", after={"sessions": count})
        self.message_user(request, "The selected people are logged out everywhere.")

    def get_urls(self) -> list[URLPattern]:
        """Leave out the page on which staff would set a password that they then know."""
        urls = super().get_urls()
        return [each for each in urls if each.name != "auth_user_password_change"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse accounts of staff to those who may not give roles."""
        may = super().has_change_permission(request, obj)
        return may and (obj is None or staff_roles.may_touch(cast("User", request.user), obj))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Fix the address of an existing user, which allauth keeps too, and rights that are not this reader's to give."""
        fixed: tuple[str, ...] = ("joined_at", "last_login")
        if obj is not None:
            fixed += ("email",)
        if request.user.is_superuser:
            return fixed
        is_oneself = obj is not None and obj.pk == request.user.pk
        may_give = request.user.has_perm(staff_roles.ASSIGN) and not is_oneself
        return (*fixed, "is_superuser", *(() if may_give else _RIGHTS))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the roles, and groups that were made by hand to superusers alone."""
        if db_field.name == "groups":
            offered = Group.objects.order_by("name")
            is_superuser = request.user.is_superuser
            kwargs["queryset"] = offered if is_superuser else offered.filter(name__in=staff_roles.NAMES)
            kwargs["label"], kwargs["help_text"] = "Roles", "What each may do is in the documentation."
            kwargs["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(Authenticator)
class AuthenticatorAdmin(Audited, QuickList):
    """Second factors, to be taken away from people who have lost theirs; their secrets are not shown."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    of_user = "user"
    ordering = ("-pk",)
    exclude = ("data",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only their owners can make them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        """Refuse edits; the list asks for the view permission only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        """Refuse those of staff to those who may not give roles: without one nobody enters the admin."""
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or staff_roles.may_touch(cast("User", request.user), obj.user))
