"""The menu of the administration: ``{% load staff %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest

from fastanchor.staff import menu

register = template.Library()


@register.inclusion_tag("admin/_menu.html", takes_context=True)
def staff_menu(context: dict[str, Any]) -> dict[str, object]:
    """Show the sections of which the reader may open something, with the present page marked."""
    request: HttpRequest = context["request"]
    return menu.shown_to(request.user, path=request.path)
