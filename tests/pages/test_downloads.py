from __future__ import annotations

import csv
import io
import itertools
import re
from datetime import UTC, datetime
from typing import cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import organizations
from accounts.models import ApiKey, Organization
from billing import documents, downloads, grants, ledger, posting, statements, topups, wallets
from billing.models import TopUp
from billing.months import Month
from fastanchor.lib.money import exact_usd
from tests.pages.pdf import text_of
from tests.pages.stripe import Card
from tests.pages.usage import serve


def receipt_of(card: Card, top_up: TopUp) -> str:
    response = card.browser.get(reverse("billing:receipt", args=[top_up.pk]))
    assert response["Content-Type"] == "application/pdf"
    assert f'filename="fastanchor-receipt-{top_up.pk}.pdf"' in response["Content-Disposition"]
    return text_of(response.content)


def test_a_receipt_says_who_paid_what_and_when(card: Card, organization: Organization) -> None:
    top_up = card.buy("12.34")

    text = receipt_of(card, top_up)

    assert f"Receipt number {top_up.pk}" in text
    assert f"Customer {organization.name}" in text
    assert "E-mail ada@example.com" in text
    assert f"Payment at Stripe {top_up.stripe_intent}" in text
    assert "FastAnchor credit $12.34 Total paid in US dollars $12.34" in text
    assert f"Paid {timezone.now():%Y-%m-%d}" in text
    assert "paid back" not in text


def test_a_receipt_names_what_was_paid_back(card: Card) -> None:
    top_up = card.buy("10")
    card.browser.post(reverse("billing:refund", args=[top_up.pk]), {"cents": "1000"})

    text = receipt_of(card, TopUp.objects.get())

    assert re.search(r"What was paid back .* -\$10\.00 Paid after refunds \$0\.00", text)


def test_there_is_no_receipt_before_a_payment(card: Card) -> None:
    top_up, _ = card.begin("10")

    assert card.browser.get(reverse("billing:receipt", args=[top_up.pk])).status_code == 404


@pytest.mark.parametrize(
    "name", ["Müller & Söhne <b>", "株式会社アンカー", "Якорь ООО", "앵커 주식회사", "x" * 120]
)
def test_any_name_of_a_customer_can_be_written_and_read_back(
    card: Card, organization: Organization, name: str
) -> None:
    organizations.rename(organization=organization, name=name)
    top_up = card.buy("10")

    assert name.replace(" ", "") in receipt_of(card, top_up).replace(" ", "")


def test_a_statement_adds_up_to_the_nano(browser: Client, organization: Organization, key: ApiKey) -> None:
    grants.grant_signup_credit(organization=organization)
    topups.record_top_up(organization=organization, cents=1_000, key="paid", actor="test")
    serve(organization, key)
    serve(organization, key, cost_nano=652_501, cost_picos=652_501_000, model_id="claude-sonnet-4")
    posting.post_usage()
    month = Month.of(timezone.now())

    text = text_of(browser.get(reverse("billing:statement", args=[month.code])).content)

    assert f"Statement of {month.name}" in text
    assert "so far, until" in text
    assert "Opening balance $0.000000000" in text
    assert "Top-up $10.000000000" in text
    assert "Sign-up credit $5.000000000" in text
    assert "Usage -$0.001000001" in text
    assert f"Closing balance ${exact_usd(ledger.credit_of(organization))}" in text
    assert "claude-sonnet-4 1 1,200 / 34 $0.000652501" in text
    assert "gpt-4o 1 1,200 / 34 $0.000347500" in text
    assert "Booked in the month before or after" not in text


def test_usage_that_is_booked_in_another_month_is_a_line_of_its_own(
    organization: Organization, key: ApiKey
) -> None:
    topups.record_top_up(organization=organization, cents=1_000, key="paid", actor="test")
    serve(organization, key)

    made = statements.make(organization=organization, month=Month.of(timezone.now()))

    assert (made.usage_nano, made.elsewhere_nano, made.closing_nano) == (0, -347_500, 10_000_000_000)
    assert "Booked in the month before or after -$0.000347500" in text_of(documents.statement(made))


def test_a_month_begins_with_what_the_one_before_ended_with(organization: Organization) -> None:
    joined = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    Organization.objects.filter(pk=organization.pk).update(created_at=joined)
    organization.refresh_from_db()
    topups.record_top_up(organization=organization, cents=1_000, key="paid", actor="test")
    this = Month.of(timezone.now())

    made = [
        statements.make(organization=organization, month=month)
        for month in statements.months_of(organization, at=this.start)
    ]

    assert made[-1].month == Month(2026, 1)
    assert made[-1].opening_nano == 0
    assert all(newer.opening_nano == older.closing_nano for newer, older in itertools.pairwise(made))
    assert made[0].closing_nano == wallets.of(organization).balance_nano
    assert [each.is_over for each in made] == [False] + [True] * (len(made) - 1)


@pytest.mark.parametrize("code", ["2026-13", "1999-12", "x", "2999-01", "2020-01"])
def test_there_is_no_statement_of_a_month_that_was_not(
    browser: Client, organization: Organization, code: str
) -> None:
    assert browser.get(reverse("billing:statement", args=[code])).status_code == 404


def test_the_statements_are_listed_newest_first(browser: Client, organization: Organization) -> None:
    html = browser.get(reverse("billing:statements")).content.decode()

    month = Month.of(timezone.now())
    assert reverse("billing:statement", args=[month.code]) in html
    assert "Not over yet" in html


def test_the_same_statement_is_the_same_file(organization: Organization) -> None:
    made = statements.make(organization=organization, month=Month.of(timezone.now()))

    assert documents.statement(made) == documents.statement(made)


def test_the_export_adds_up_to_the_ledger_to_the_nano(
    browser: Client, organization: Organization, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_AT_ONCE", 2)
    grants.grant_signup_credit(organization=organization)
    topups.record_top_up(organization=organization, cents=1_234, key="paid", actor="test")
    for _ in range(3):
        serve(organization, key)
        posting.post_usage()

    pieces = exported(browser)

    rows = list(csv.DictReader(io.StringIO("".join(pieces))))
    nanos = [int(row["amount_usd"].replace(".", "")) for row in rows]
    assert sum(nanos) == ledger.credit_of(organization) == 17_340_000_000 - 3 * 347_500
    assert [row["balance_usd"] for row in rows] == [exact_usd(sum(nanos[: end + 1])) for end in range(5)]
    assert [row["kind"] for row in rows] == ["signup", "top_up", "usage", "usage", "usage"]
    assert len(pieces) == 3


def exported(browser: Client) -> list[str]:
    """Return the export in the pieces that are sent."""
    response = browser.get(reverse("billing:export"))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    with pytest.warns(Warning, match="must consume asynchronous iterators"):
        return [piece.decode() for piece in cast("StreamingHttpResponse", response)]


def test_an_export_of_nothing_is_its_head(browser: Client, organization: Organization) -> None:
    assert exported(browser) == ["time_utc,kind,description,amount_usd,balance_usd,journal\r\n"]
