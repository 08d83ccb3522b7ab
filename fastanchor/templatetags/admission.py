"""What staff must know of the way in which requests are admitted now: ``{% load admission %}``."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import admission
from fastanchor.templatetags.fa import moment

register = template.Library()


@register.simple_tag
def admission_notice() -> SafeString | str:
    """Say that PostgreSQL stands in for Valkey, while it does."""
    now = admission.current()
    if not now.is_degraded:
        return ""
    return format_html(
        '<p class="errornote">Valkey is away since {}: PostgreSQL {} for it. Requests are served more slowly, and each '
        "process hands out its share of the limits.</p>",
        moment(now.since),
        "stands in" if now.is_open else "prepares to stand in",
    )
