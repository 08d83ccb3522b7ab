"""Staff's view of the credentials of channels: which work, which were refused and why, and the way back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit_admin import Audited
from catalog.credential_states import disable_credential, enable_credential, save_credential
from catalog.forms import CredentialForm, ReasonForm
from catalog.models import Credential
from catalog.publish import announce_catalog


@admin.register(Credential)
class CredentialAdmin(Audited):
    """Secrets of channels: set, never shown; taken out by an upstream that refuses them, or by staff."""

    form = CredentialForm
    action_form = ReasonForm
    actions = ("enable", "disable")
    list_display = ("channel", "name", "end", "is_enabled", "disabled_reason", "retry_at")
    list_filter = ("is_enabled", "channel__provider")
    list_select_related = ("channel",)
    search_fields = ("id", "name", "channel__id__exact", "channel__name")
    ordering = ("channel", "created_at", "pk")
    autocomplete_fields = ("channel",)
    fields = ("channel", "name", "secret", "end", "is_enabled", "disabled_reason", "retry_at", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """Leave out customers' own keys, which are not for staff to change."""
        return super().get_queryset(request).filter(channel__own_key="")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep a credential at its channel, to which it is sealed."""
        state = ("end", "is_enabled", "disabled_reason", "retry_at", "created_at")
        return ("channel", *state) if obj else state

    @admin.display(description="Secret")
    def end(self, credential: Credential) -> str:
        """Show how the secret ends."""
        return f"…{credential.last4}" if credential.sealed else "none"

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: Any) -> None:
        """Seal a new secret and save."""
        save_credential(credential=obj, secret=form.cleaned_data["secret"])

    def delete_model(self, request: HttpRequest, obj: Credential) -> None:
        """Delete and announce."""
        super().delete_model(request, obj)
        announce_catalog()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        """Delete and announce."""
        super().delete_queryset(request, queryset)
        announce_catalog()

    @admin.action(description="Put selected credentials back into service", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        """Put credentials back into service."""
        for credential in queryset:
            enable_credential(credential=credential)
        self.message_user(request, f"{len(queryset)} credentials back in service.")

    @admin.action(description="Take selected credentials out (give a reason)", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        """Take credentials out of service until staff put them back."""
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Write the reason beside the action.", messages.ERROR)
            return
        for credential in queryset:
            disable_credential(credential=credential, reason=reason)
        self.message_user(request, f"{len(queryset)} credentials taken out.")
