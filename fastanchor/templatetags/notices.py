"""What staff tells the reader of the console: ``{% load notices %}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.safestring import SafeString

from accounts import notices
from accounts.access import SignedInRequest
from accounts.models import User
from accounts.notice_tables import Notice
from fastanchor.lib.markdown import rendered

register = template.Library()


@register.inclusion_tag("_notices.html", takes_context=True)
def console_notices(context: dict[str, Any]) -> dict[str, object]:
    """Show the notices that the reader has not put away."""
    request: SignedInRequest = context["request"]
    organization = getattr(request, "organization", None)
    found: Sequence[Notice] = ()
    if isinstance(request.user, User):
        found = notices.shown_to(user=request.user, plan_code=organization.plan_id if organization else "")
    return {"notices": found, "path": request.get_full_path(), "csrf_token": context.get("csrf_token")}


@register.filter
def notice_html(text: str) -> SafeString:
    """Write its Markdown as HTML."""
    return rendered(text)
