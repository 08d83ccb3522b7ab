"""Notices as staff write them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts import notices
from accounts.audit_admin import Audited
from accounts.notice_tables import Notice


@admin.register(Notice)
class NoticeAdmin(Audited):
    """What customers read above their dashboard; ended by its date, so that the audit log can be understood later."""

    list_display = ("title", "level", "plan", "starts_at", "ends_at")
    list_filter = ("level", "plan")
    list_select_related = ("plan",)
    search_fields = ("title",)
    ordering = ("-starts_at", "-pk")
    fields = ("title", "text", "level", "plan", "starts_at", "ends_at")

    def save_model(self, request: HttpRequest, obj: Notice, form: Any, change: Any) -> None:
        """Save it, to be seen at once."""
        super().save_model(request, obj, form, change)
        notices.forget()
