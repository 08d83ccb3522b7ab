"""The content security policy of the pages: the one place that says from where they load and to where their forms lead."""

from __future__ import annotations


def policy(*, form_target: str = "", has_inline_styles: bool = False) -> str:
    """Return the policy of a page whose forms stay on this site, or are led on to ``form_target``, an origin.

    Django's admin lives with it too: it sets styles only through the DOM.
    """
    targets = f"'self' {form_target}".rstrip()
    styles = " style-src 'self' 'unsafe-inline';" if has_inline_styles else ""
    sources = f"default-src 'self';{styles} img-src 'self' data:; object-src 'none'"
    return f"{sources}; frame-ancestors 'none'; form-action {targets}; base-uri 'none'"
