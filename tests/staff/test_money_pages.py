"""The pages of the business: what they show is the ledger's, who may not see it does not, and nothing grows with the ledger."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.http import StreamingHttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization, User
from billing import business, ledger, ledger_days
from billing.admin.base import page_of
from billing.business import Figure
from billing.ledger_days import Step
from billing.models import (
    AccountCode,
    BillFile,
    Journal,
    JournalKind,
    ProviderBill,
    ReconciliationItem,
    ServedDay,
    TopUp,
    Wallet,
)
from fastanchor.lib.money import exact_usd
from tests.staff.histories import DAYS, FIRST, live_through

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous"),
]
SINCE, LAST = FIRST.date() - timedelta(days=2), (FIRST + timedelta(days=DAYS)).date()
DAY = "2026-11-30"
PAGES = [
    "/admin/money/",
    "/admin/money/months/2026-10/",
    "/admin/money/days/2026-10-30/",
    "/admin/money/export.csv?first=2026-10-01&last=2026-11-30",
    "/admin/money/bills/",
]


def of_role(role: str) -> Client:
    user = User.objects.create_user(f"{role}@example.org", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def finance(db: None) -> Client:
    return of_role("finance")


@pytest.fixture
def catalog(db: None) -> None:
    call_command("load_catalog")


def text_of(answer: object) -> str:
    assert isinstance(answer, StreamingHttpResponse)
    return b"".join(answer).decode()


def bill(browser: Client, text: str, *, provider: str = "openai") -> int:
    file = SimpleUploadedFile("november.csv", f"day,model,amount_usd\n{text}".encode())
    given = {"provider": provider, "file": file, "reason": "Invoice of November"}
    answer = browser.post("/admin/money/bills/", given)
    assert answer.status_code == 302, answer.context["form"].errors
    return int(answer["Location"].rstrip("/").rpartition("/")[2])


@pytest.mark.parametrize("role", ["finance", "owner"])
def test_finance_and_owners_see_the_figures_and_upload_bills(role: str, catalog: None) -> None:
    browser = of_role(role)

    assert [browser.get(page).status_code for page in PAGES] == [200] * len(PAGES)
    assert browser.get(f"/admin/money/bills/{bill(browser, f'{DAY},,1')}/").status_code == 200


@pytest.mark.parametrize("role", ["support", "catalog", "operations"])
def test_nobody_else_does(role: str, finance: Client, catalog: None) -> None:
    browser = of_role(role)
    first = bill(finance, f"{DAY},,1\n")
    waiting = bill(finance, f"{DAY},,2\n")

    assert [browser.get(page).status_code for page in PAGES] == [403] * len(PAGES)
    assert browser.get(f"/admin/money/bills/{first}/").status_code == 403
    for address in ("", f"{waiting}/confirm/", f"{waiting}/discard/"):
        assert browser.post(f"/admin/money/bills/{address}").status_code == 403
    assert BillFile.objects.get(pk=waiting).state == "waiting"


def test_the_file_is_the_report_to_the_nano(finance: Client, seed: int) -> None:
    live_through(seed, steps=30)
    ServedDay.objects.create(
        day=LAST + timedelta(days=9), provider_id="openai", model_id="gpt-4o", requests=1, cost_nano=7
    )
    ServedDay.objects.create(day=SINCE, provider_id="openai", model_id="gpt-4o", requests=1, cost_nano=3)

    text = text_of(finance.get(f"/admin/money/export.csv?first={SINCE}&last=2026-11-30"))

    rows = list(csv.reader(io.StringIO(text)))
    expected = business.report(first=SINCE, last=date(2026, 11, 30), step=Step.DAY)
    slugs = [name.removesuffix("_usd") for name in rows[0][1:]]
    assert rows[0][:2] == ["day", "revenue_usd"]
    assert set(slugs) == set(expected[0].values)
    assert rows[1:] == [
        [str(each.start), *(exact_usd(each.values[slug]) for slug in slugs)] for each in expected
    ]


@pytest.mark.parametrize("query", ["", "?first=x&last=2026-11-30"])
def test_a_file_of_no_days_is_not_there(finance: Client, query: str) -> None:
    assert finance.get(f"/admin/money/export.csv{query}").status_code == 404


@pytest.mark.parametrize("query", ["first=2026-11-30&last=2026-11-29", "first=1990-01-01&last=2026-11-29"])
def test_a_file_of_too_many_days_is_refused(finance: Client, query: str) -> None:
    assert finance.get(f"/admin/money/export.csv?{query}").status_code == 400


@pytest.mark.parametrize("page", ["months/2026-13", "months/x", "days/2026-02-30", "days/x", "bills/9999"])
def test_a_page_of_no_day_or_month_is_not_there(finance: Client, page: str) -> None:
    assert finance.get(f"/admin/money/{page}/").status_code == 404


def by_figure(told: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Figure]]:
    return [(each, figure) for each in told for figure in business.FIGURES if figure.label == each["label"]]


def test_each_figure_of_a_day_leads_to_the_journals_it_is_made_of(finance: Client, seed: int) -> None:
    live_through(seed, steps=40)
    for day in (FIRST.date() + timedelta(days=number) for number in range(3)):
        page = finance.get(f"/admin/money/days/{day}/")
        for told, figure in by_figure(page.context["figures"]):
            found = finance.get(told["url"]).context["cl"].queryset
            legs = [
                (JournalKind(each.kind), code, nano)
                for each in found
                for code, nano in ledger.legs_of(each).items()
            ]
            nano = figure.sign * sum(nano for kind, code, nano in legs if figure.counts(kind, code))
            assert nano == told["nano"], (day, figure.slug)


def test_a_month_is_drawn_and_its_chart_is_its_table(finance: Client, seed: int) -> None:
    live_through(seed, steps=30)

    page = finance.get("/admin/money/months/2026-10/")

    drawn = re.findall(r"<title>(\d{4}-\d\d-\d\d): ", page.content.decode())
    assert len(drawn) == 31
    assert [row.label for row in page.context["rows"]] == [
        str(each.start)
        for each in business.report(first=date(2026, 10, 1), last=date(2026, 10, 31), step=Step.DAY)
    ]


def test_no_page_asks_more_the_more_there_is(
    finance: Client, catalog: None, seed: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    live_through(seed, steps=40)
    ledger_days.fold()
    for number in range(120):
        day = date(2026, 10, 30) if number % 2 else date(2026, 10, 1) + timedelta(days=number // 8)
        ServedDay.objects.create(
            day=day, provider_id="openai", model_id=f"m{number}", requests=1, cost_nano=1
        )
    file = bill(finance, "".join(f"2026-10-{number:02d},,1\n" for number in range(1, 31)))

    for page in [*PAGES, "/admin/money/bills/?month=2026-10", f"/admin/money/bills/{file}/"]:
        with django_assert_max_num_queries(15):
            assert finance.get(page).status_code == 200


def test_a_bill_is_uploaded_shown_replaced_after_a_look_and_its_open_item_is_led_to(
    finance: Client, catalog: None
) -> None:
    ServedDay.objects.create(day=DAY, provider_id="openai", model_id="gpt-4o", requests=2, cost_nano=10**9)
    first = bill(finance, f"{DAY},gpt-4o,2\n")
    item = ReconciliationItem.objects.get()
    month = finance.get("/admin/money/bills/?month=2026-11").content.decode()
    assert "50.00 %" in month
    assert page_of(item) in month

    later = bill(finance, f"{DAY},,1.000000001\n")
    page = finance.get(f"/admin/money/bills/{later}/")
    stale = finance.post(f"/admin/money/bills/{later}/confirm/", {"shown": "2026-11-30:1:2"}, follow=True)
    assert "changed meanwhile" in stale.content.decode()
    assert BillFile.objects.get(pk=later).state == "waiting"
    finance.post(f"/admin/money/bills/{later}/confirm/", {"shown": page.context["shown"]})

    assert [each.file_id for each in ProviderBill.objects.filter(is_current=True)] == [later]
    assert "99.99 %" in finance.get("/admin/money/bills/?month=2026-11").content.decode()
    item.refresh_from_db()
    assert item.state == "explained"
    assert "no, replaced" in finance.get(f"/admin/money/bills/{first}/").content.decode()


def test_a_wrong_file_is_told_line_by_line_and_a_file_that_came_before_leads_to_itself(
    finance: Client, catalog: None
) -> None:
    first = bill(finance, f"{DAY},,1\n")

    assert bill(finance, f"{DAY},,1\n") == first
    file = SimpleUploadedFile("x.csv", b"day,model,amount_usd\n2026-11-30,x,free\n")
    wrong = finance.post("/admin/money/bills/", {"provider": "openai", "file": file, "reason": "x"})

    assert wrong.status_code == 422
    assert "Line 2: &quot;free&quot; is no amount" in wrong.content.decode()
    assert BillFile.objects.count() == 1


def booked(organization: Organization, number: int, code: AccountCode, day: int) -> Journal:
    return ledger.post(
        key=f"k{number}",
        kind=JournalKind.TOP_UP,
        legs={code: 5 + number, AccountCode.WALLET_PAID: -5 - number},
        organization=organization,
        reason="Test",
        actor="system",
        effective_at=FIRST.astimezone(UTC) + timedelta(days=day),
        source=("top_up", "top_1"),
    )


def test_journals_are_found_by_day_account_kind_and_figure(
    finance: Client, organization: Organization
) -> None:
    one = booked(organization, 1, AccountCode.STRIPE_CLEARING, 0)
    two = booked(organization, 2, AccountCode.MANUAL_CLEARING, 1)

    def found(**query: str) -> set[str]:
        page = finance.get("/admin/billing/journal/", query)
        return {each.pk for each in page.context["cl"].queryset}

    assert found(day="2026-10-29") == {one.pk}
    assert found(day="2026-10-30") == {two.pk}
    assert found(day="nonsense") == set()
    assert found(account="stripe_clearing") == {one.pk}
    assert found(account="wallet_paid") == found(figure="cash_in") == {one.pk, two.pk}
    assert found(figure="refunds") == found(account="bank") == set()
    assert found(day="2026-10-30", account="manual_clearing", kind__exact="top_up") == {two.pk}
    assert 'value="2026-10-30"' in finance.get("/admin/billing/journal/?day=2026-10-30").content.decode()


def test_a_journals_page_shows_running_totals_and_leads_to_what_it_is_about(
    finance: Client, organization: Organization
) -> None:
    booked(organization, 1, AccountCode.STRIPE_CLEARING, 0)
    two = booked(organization, 2, AccountCode.STRIPE_CLEARING, 0)
    top_up = TopUp.objects.create(
        id="top_1", organization=organization, amount_cents=1, source="checkout", actor="x"
    )
    wallet = Wallet.objects.create(organization=organization)

    page = finance.get(page_of(two)).content.decode()

    assert page_of(top_up) in page
    assert page_of(wallet) in page
    # Its own seven, and six before them; nothing is left at the end.
    assert "-$0.000000013" in page
    assert page.index("$0.000000007") < page.rindex("$0.000000000")
