from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import legal, people
from accounts.models import LegalDocument, LegalVersion, User
from tests.pages.markup import faults, words

DAY = timedelta(days=1)


@pytest.fixture
def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def terms(db: None) -> LegalDocument:
    return LegalDocument.objects.get(pk="terms")


@pytest.fixture
def staff(db: None) -> User:
    return people.ensure_verified(email="staff@example.com", is_staff=True)


def revise(document: LegalDocument, text: str, day: date, *, is_draft: bool = False) -> LegalVersion:
    return legal.revise(document=document, text=text, valid_from=day, is_draft=is_draft, by=None)


def page(client: Client, slug: str = "terms", **query: int | str) -> str:
    return client.get(reverse("legal", args=[slug]), query).content.decode()


@pytest.mark.parametrize("slug", legal.FIRST_DOCUMENTS)
def test_every_installation_starts_with_drafts_that_say_so(
    client: Client, settings: Settings, db: None, slug: str
) -> None:
    settings.SELLER_NAME, settings.SELLER_ADDRESS = "Anker & *Söhne*", ["Hafenstraße 1", "Hamburg"]

    html = page(client, slug)

    assert "This is a draft. No lawyer has approved it yet." in words(html)
    assert "Anker &amp; *Söhne*" in html
    assert not {"{seller}", "{address}", "{tax_id}", "{site}", "{responses_days}"} & set(html.split())
    assert faults(html) == []


def test_what_staff_writes_is_shown_as_markdown_and_never_as_markup(
    client: Client, terms: LegalDocument, today: date
) -> None:
    revise(terms, "## Fair *play*\n<script>alert(1)</script> [here](javascript:alert(1))", today)

    html = page(client)

    assert "<h2>Fair <em>play</em></h2>" in html
    assert "<script>alert" not in html
    assert 'href="javascript' not in html
    assert "This is a draft" not in html


def test_a_version_holds_from_its_day_and_those_before_it_stay_readable(
    client: Client, terms: LegalDocument, today: date
) -> None:
    first = revise(terms, "the first", today)
    later = revise(terms, "the later", today + 9 * DAY)

    assert "the first" in page(client)
    assert "Announced" in page(client)
    assert "This version is announced and does not hold yet." in page(client, version=later.pk)
    second = revise(terms, "the second", today)
    assert "the second" in page(client)
    assert "This version is no longer the one that holds." in page(client, version=first.pk)
    assert "the first" in page(client, version=first.pk)
    assert LegalVersion.objects.filter(pk__in=[first.pk, later.pk, second.pk]).count() == 3


def test_what_is_not_there_is_not_found(client: Client, terms: LegalDocument, today: date) -> None:
    of_another = revise(LegalDocument.objects.get(pk="privacy"), "other", today)

    assert client.get("/legal/secrets/").status_code == 404
    for number in (of_another.pk, 10**30, "x", "²", ""):
        assert client.get(reverse("legal", args=["terms"]), {"version": number}).status_code == 404


def test_a_document_without_a_version_that_holds_is_not_shown(client: Client, db: None, today: date) -> None:
    revise(LegalDocument.objects.create(slug="cookies", title="Cookies"), "soon", today + DAY)

    assert client.get(reverse("legal", args=["cookies"])).status_code == 404


def test_staff_revises_in_the_admin_and_nothing_is_lost(
    client: Client, terms: LegalDocument, staff: User
) -> None:
    client.force_login(staff)
    address = reverse("admin:accounts_legaldocument_change", args=["terms"])
    before = legal.newest(terms)
    assert before is not None
    form = client.get(address).context["adminform"].form
    assert form.initial["text"] == before.text
    inline = {f"versions-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}

    entered = {
        "title": "Terms",
        "text": "New\r\nrules",
        "valid_from": "2026-11-30",
        "reason": "New law",
        **inline,
    }
    assert client.post(address, entered).status_code == 302
    assert client.post(address, entered).status_code == 302

    after = legal.newest(terms)
    assert after is not None
    assert (after.text, after.is_draft, after.saved_by) == ("New\nrules", False, staff)
    assert list(terms.versions.order_by("pk")) == [before, after]
    assert client.get(reverse("admin:accounts_legaldocument_delete", args=["terms"])).status_code == 403
