"""How money, token counts, rates and times are written on pages: ``{% load fa %}``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.listing import rate_usd
from fastanchor.lib.money import cents_to_nanos, exact_picos, exact_usd, short_usd

register = template.Library()

NARROW_SPACE = "\u202f"
_SHOWN_DIGITS = 6


@register.filter
def usd(nanos: int) -> SafeString:
    """Write nano-USD in short, the exact amount as tool tip."""
    return _of_digits(f'<span class="money" title="{plain_usd(nanos)}">{short_usd(nanos)}</span>')


@register.filter
def usd_rough(nanos: int) -> SafeString:
    """Write nano-USD that are a guess with three digits, the rest cut off."""
    step = int(10 ** max(0, len(str(abs(nanos))) - 3))
    return format_html('<span class="money">{}</span>', short_usd(nanos // step * step))


@register.filter
def usd_exact(nanos: int) -> SafeString:
    """Write nano-USD with all nine places, the last three dimmed."""
    return _dimmed(plain_usd(nanos))


@register.filter
def usd_picos(picos: int) -> SafeString:
    """Write pico-USD with all the places that they need."""
    return format_html('<span class="money">{}</span>', plain_picos(picos))


@register.filter
def plain_picos(picos: int) -> str:
    """Write pico-USD with all the places that they need as plain text."""
    text = exact_picos(picos)
    return f"-${text[1:]}" if picos < 0 else f"${text}"


@register.filter
def usd_change(nanos: int) -> SafeString:
    """Write what a balance changed by, with its sign and all nine places."""
    return _dimmed(f"+{plain_usd(nanos)}" if nanos > 0 else plain_usd(nanos))


def _dimmed(text: str) -> SafeString:
    cut = len(text) - (9 - _SHOWN_DIGITS)
    return _of_digits(f'<span class="money">{text[:cut]}<span class="money-rest">{text[cut:]}</span></span>')


def _of_digits(html: str) -> SafeString:
    """Take tags of ours around digits as they are: tables hold hundreds of them, and escaping is most of the work."""
    return SafeString(html)


@register.filter
def cents(amount: int) -> str:
    """Write whole cents as dollars: ``$12.34``."""
    return short_usd(cents_to_nanos(amount))


@register.filter
def plain_usd(nanos: int) -> str:
    """Write nano-USD with all nine places as plain text: ``-$0.000000750``."""
    text = exact_usd(nanos)
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


@register.filter
def dollars(nanos: int) -> str:
    """Write an amount inside a sentence, without cents where there are none: ``$5``, ``$7.50``."""
    return short_usd(nanos).removesuffix(".00")


@register.filter
def rate(micros: int) -> SafeString:
    """Write micro-USD per 1M tokens as dollars, exactly."""
    return format_html('<span class="money">{}</span>', rate_usd(micros))


@register.filter
def count(number: int) -> str:
    """Write a whole number in groups of three: ``1 234 567`` with narrow spaces."""
    return f"{number:,}".replace(",", NARROW_SPACE)


@register.filter
def count_short(number: int) -> SafeString:
    """Write a whole number in short, cut and never rounded up, the exact one as tool tip: ``16.0M``."""
    for unit, step in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if number >= 10 * step:
            tenths = number * 10 // step
            return format_html(
                '<span title="{}">{}.{}{}</span>', count(number), tenths // 10, tenths % 10, unit
            )
    return format_html("<span>{}</span>", count(number))


@register.filter
def size(tokens: int) -> str:
    """Write a context window in short, never rounded up: ``128K``, ``1M``, ``1.04M``."""
    if tokens < 1_000:
        return str(tokens)
    if tokens < 1_000_000:
        return f"{tokens // 1_000}K"
    hundredths = tokens // 10_000
    return f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".") + "M"


@register.filter
def moment(at: datetime, form: str = "%Y-%m-%d %H:%M") -> SafeString:
    """Write an aware moment in UTC as a time element; ``times.js`` writes it anew in the reader's own zone.

    ``form`` may use %Y, %m, %d, %H, %M and %S.
    """
    utc = at.astimezone(UTC)
    return _of_digits(
        f'<time datetime="{utc.isoformat(timespec="seconds")}" title="{utc:%Y-%m-%d %H:%M:%S UTC}" data-form="{form}">'
        f"{utc.strftime(form)}</time>"
    )


@register.filter
def moment_utc(at: datetime, form: str = "%Y-%m-%d %H:%M") -> SafeString:
    """Write an aware moment in UTC and leave it so: on bills, whose days and months are UTC."""
    return format_html(
        '<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), at.astimezone(UTC).strftime(form)
    )


@register.filter
def clock(at: datetime) -> SafeString:
    """Write the time of day of a moment in UTC; the tool tip tells the date."""
    return moment(at, "%H:%M:%S")


@register.filter
def is_past(at: datetime | None) -> bool:
    """Tell whether a moment is over; no moment never is."""
    return at is not None and at <= timezone.now()


@register.filter
def span_ms(milliseconds: int | None) -> str:
    """Write milliseconds for people; nothing for none."""
    return "" if milliseconds is None else span(timedelta(milliseconds=milliseconds))


@register.filter
def span(duration: timedelta) -> str:
    """Write a duration for people: ``840 ms``, ``3.2 s``, ``4 min 05 s``."""
    millis = max(0, duration // timedelta(milliseconds=1))
    if millis < 1_000:
        return f"{millis} ms"
    if millis < 60_000:
        return f"{millis // 1_000}.{millis % 1_000 // 100} s"
    return f"{millis // 60_000} min {millis // 1_000 % 60:02d} s"


@register.filter
def per_mille(parts: int) -> str:
    """Write parts of a thousand as percent: ``12.3 %``."""
    return f"{parts // 10}.{parts % 10} %" if parts % 10 else f"{parts // 10} %"


@register.filter
def millis(ms: int | None) -> str:
    """Write milliseconds for people, a dash for none."""
    return "–" if ms is None else span(timedelta(milliseconds=ms))


@register.filter
def change(parts: int) -> str:
    """Write by how many parts of a thousand something changed: ``+12.3 %``, ``−4 %``; whole percent from 100 on."""
    shown = abs(parts) // 10 * 10 if abs(parts) >= 1_000 else abs(parts)
    sign = "+" if parts > 0 else "−"
    return f"{sign}{per_mille(shown)}" if shown else "no change"
