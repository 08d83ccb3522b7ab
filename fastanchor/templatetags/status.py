"""How uptime, latency and incidents are written on pages: ``{% load status %}``."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from billing.health_reading import Latency, Standing
from fastanchor.lib.markdown import rendered
from fastanchor.templatetags.fa import count, span_ms

register = template.Library()

_NO_TRAFFIC = mark_safe('<span class="muted">no traffic</span>')
_NO_LATENCY = mark_safe('<span class="muted">none</span>')


@register.filter
def uptime(standing: Standing) -> SafeString:
    """Write the share that was served, the counts as tool tip; without requests it says so."""
    if not standing.requests:
        return _NO_TRAFFIC
    return format_html(
        '<span class="number" title="{} of {} requests">{}</span>',
        count(standing.served),
        count(standing.requests),
        standing.uptime,
    )


@register.filter
def latency(found: Latency) -> SafeString:
    """Write median and 95th percentile, how many were counted as tool tip."""
    if not found.requests:
        return _NO_LATENCY
    return format_html(
        '<span class="number" title="of {} requests">{} / {}</span>',
        count(found.requests),
        span_ms(found.median_ms),
        span_ms(found.p95_ms),
    )


@register.filter
def incident_html(body: str) -> SafeString:
    """Write an update's Markdown as HTML."""
    return rendered(body)
