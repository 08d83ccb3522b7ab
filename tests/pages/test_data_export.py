"""Everything about an account as one ZIP."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import cast

import pytest
from allauth.mfa.models import Authenticator
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import keys
from accounts.models import Membership, Organization, Role, User
from billing import grants, posting
from billing.exports import runs
from billing.models import Export, ExportState
from tests.pages.markup import faults
from tests.pages.stripe import Card
from tests.pages.usage import serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _in_memory(settings: Settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "exports": memory}


def written(browser: Client) -> Export:
    """Ask for the file, and return it once it is ready."""
    browser.post(reverse("settings:data-export"))
    export = Export.objects.latest("asked_at")
    while runs.run(export.pk):
        pass
    export.refresh_from_db()
    assert export.state == ExportState.DONE, export.error
    return export


def opened(browser: Client, export: Export) -> zipfile.ZipFile:
    sent = browser.get(reverse("download-export", args=[export.pk]))
    assert (sent["Content-Type"], sent["Content-Encoding"]) == ("application/zip", "gzip")
    with pytest.warns(Warning, match="must consume asynchronous iterators"):
        content = b"".join(cast("StreamingHttpResponse", sent))
    return zipfile.ZipFile(io.BytesIO(gzip.decompress(content)))


def test_the_file_holds_all_and_no_secret(
    browser: Client, ada: User, cleo: User, organization: Organization, card: Card
) -> None:
    grants.grant_signup_credit(organization=organization)
    key, secret = keys.create(organization=organization, name="=Laptop")
    keys.create(organization=organization, name="-1+cmd|' /C calc'!A0")
    card.buy("12.35")
    serve(organization, key)
    posting.post_usage()
    strange, _ = keys.create(organization=cleo.organizations.get(), name="Strange")
    serve(strange.organization, strange)
    Authenticator.objects.create(user=ada, type="totp", data={"secret": "SEALED"})

    archive = opened(browser, written(browser))

    texts = {name: archive.read(name) for name in archive.namelist()}
    assert json.loads(texts["account.json"])["email"] == "ada@example.com"
    assert json.loads(texts["organization.json"])["members"][0]["user__email"] == "ada@example.com"
    [invoice] = json.loads(texts["invoices.json"])
    assert texts[f"invoices/{invoice['number']}.pdf"].startswith(b"%PDF")
    assert b"'=Laptop" in texts["keys.csv"]
    assert b",'-1+cmd|" in texts["keys.csv"]
    assert b",-0.000347500," in texts["transactions.csv"], "an amount is no formula"
    assert texts["usage.csv"].decode().splitlines()[1].split(",")[1:] == [
        "gpt-4o", key.pk, "1", "1200", "34", "0.000347500",
    ]  # fmt: skip
    kinds = [line.split(",")[1] for line in texts["transactions.csv"].decode().splitlines()]
    assert kinds[:3] == ["kind", "signup", "top_up"]
    everything = b"".join(texts.values())
    assert secret.encode() not in everything
    assert b"SEALED" not in everything
    assert b"Strange" not in everything
    assert strange.pk.encode() not in everything


def test_another_member_neither_sees_nor_opens_it(
    browser: Client, cleo: User, organization: Organization
) -> None:
    export = written(browser)
    Membership.objects.filter(user=cleo).delete()
    Membership.objects.create(user=cleo, organization=organization, role=Role.OWNER)
    other = Client()
    other.force_login(cleo)

    assert export.pk not in other.get(reverse("settings:data-export")).content.decode()
    for name in ("export", "export-progress", "download-export"):
        assert other.get(reverse(name, args=[export.pk])).status_code == 404
    page = browser.get(reverse("settings:data-export")).content.decode()
    assert export.pk in page
    assert faults(page) == []
