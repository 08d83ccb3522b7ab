"""Legal documents: which version holds, what earlier ones said, and how staff revises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.safestring import SafeString

from fastanchor.lib.markdown import escaped, rendered

if TYPE_CHECKING:
    from accounts.models import LegalDocument, LegalVersion, User

TEXTS = Path(__file__).resolve().parent / "legal_texts"
# What every installation starts with: drafts, from ``legal_texts/``.
FIRST_DOCUMENTS = {
    "terms": "Terms of service",
    "privacy": "Privacy policy",
    "refunds": "Refund policy",
    "imprint": "Imprint",
}
_FIRST_DAY = date(2026, 11, 30)
_MOST_VERSIONS = 100


class NoVersion(Exception):
    """The document has no version that holds today, or none of the number that was asked for."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A version as its page shows it, beside all that there are, newest first; ``current`` is the one that holds."""

    version: LegalVersion
    current: LegalVersion
    versions: tuple[LegalVersion, ...]
    html: SafeString


def show(document: LegalDocument, *, origin: str, number: int | None = None) -> Shown:
    """Return the version that holds today, or the one of a number; raises ``NoVersion``."""
    versions = tuple(document.versions.order_by("-valid_from", "-pk")[:_MOST_VERSIONS])
    today = datetime.now(UTC).date()
    current = next((version for version in versions if version.valid_from <= today), None)
    chosen = current if number is None else next((each for each in versions if each.pk == number), None)
    if current is None or chosen is None:
        raise NoVersion
    return Shown(chosen, current, versions, rendered(_filled(chosen.text, origin=origin)))


def newest(document: LegalDocument) -> LegalVersion | None:
    """Return the version saved last, which staff revises."""
    return document.versions.order_by("-pk").first()


def revise(
    *, document: LegalDocument, text: str, valid_from: date, is_draft: bool, by: User | None
) -> LegalVersion:
    """Save a new version; those before it stay as they are. What changes nothing returns the newest there is."""
    last = newest(document)
    if last and (last.text, last.valid_from, last.is_draft) == (text, valid_from, is_draft):
        return last
    return document.versions.create(text=text, valid_from=valid_from, is_draft=is_draft, saved_by=by)


def placeholders(*, origin: str) -> Mapping[str, str]:
    """Return what a text may name in braces: who sells, as the settings say, and where."""
    return {
        "seller": settings.SELLER_NAME,
        "address": ", ".join(settings.SELLER_ADDRESS) or "(address not set)",
        "tax_id": settings.SELLER_TAX_ID or "(none set)",
        "site": origin,
        "responses_days": str(settings.RESPONSES_DAYS),
    }


def add_missing_documents(document_model: type[LegalDocument], version_model: type[LegalVersion]) -> None:
    """Create the documents that are not there, as drafts; those that exist keep what staff made of them."""
    for slug, title in FIRST_DOCUMENTS.items():
        document, is_new = document_model.objects.get_or_create(slug=slug, defaults={"title": title})
        if is_new:
            text = (TEXTS / f"{slug}.md").read_text(encoding="utf-8")
            version_model.objects.create(document=document, text=text, valid_from=_FIRST_DAY, is_draft=True)


def _filled(text: str, *, origin: str) -> str:
    for name, value in placeholders(origin=origin).items():
        text = text.replace(f"{{{name}}}", value if name == "site" else escaped(value))
    return text
