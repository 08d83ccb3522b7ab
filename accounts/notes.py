"""Notes of staff about organizations: written once, read by whoever looks at the customer next; no customer sees them."""

from __future__ import annotations

from accounts.models import Organization, User
from accounts.organization_note import OrganizationNote

MOST_TEXT = 2000


class NotANote(ValueError):
    """A note says something, in at most ``MOST_TEXT`` characters."""


def write(*, organization: Organization, text: str, by: User) -> OrganizationNote:
    """Write a note; raises ``NotANote``."""
    said = text.strip()
    if not 0 < len(said) <= MOST_TEXT:
        raise NotANote
    return OrganizationNote.objects.create(organization=organization, author=by, text=said)


def newest(organization: Organization, *, limit: int) -> list[OrganizationNote]:
    """Return the last notes with their authors, newest first."""
    found = OrganizationNote.objects.filter(organization=organization).select_related("author")
    return list(found.order_by("-pk")[:limit])
