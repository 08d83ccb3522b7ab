"""A notice that staff writes stands above the pages of those whom it is for, until they put it away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import notices, organizations, people
from accounts.audit_entry import AuditEntry
from accounts.models import User
from accounts.notice_tables import Notice
from tests.staff.conftest import Hire

DASHBOARD = reverse("settings:profile")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notices.forget()


@pytest.fixture
def ada(db: None) -> User:
    return people.ensure_verified(email="ada@example.com")


def page_of(client: Client, user: User) -> str:
    client.force_login(user)
    return client.get(DASHBOARD).content.decode()


def dismissed(client: Client, notice_id: object, *, back: str = DASHBOARD) -> int:
    return client.post(reverse("dismiss-notice"), {"notice": notice_id, "next": back}).status_code


def test_operations_write_one_and_customers_read_it_at_once(client: Client, hire: Hire, ada: User) -> None:
    client.force_login(hire("operations"))
    told = {"title": "Maintenance on Sunday", "text": "From **02:00** UTC.", "level": "warning"}
    begin = timezone.now() - timedelta(minutes=1)

    answer = client.post(
        reverse("admin:accounts_notice_add"),
        {
            **told,
            "starts_at_0": f"{begin:%Y-%m-%d}",
            "starts_at_1": f"{begin:%H:%M:%S}",
            "reason": "Asked by Ops",
        },
    )

    assert answer.status_code == 302
    page = page_of(client, ada)
    assert "Maintenance on Sunday" in page
    assert "<strong>02:00</strong>" in page
    assert "notice is-warning" in page
    assert AuditEntry.objects.filter(what="notice.added").count() == 1


def test_support_reads_notices_and_writes_none(client: Client, hire: Hire) -> None:
    client.force_login(hire("support"))

    assert client.get(reverse("admin:accounts_notice_changelist")).status_code == 200
    assert client.get(reverse("admin:accounts_notice_add")).status_code == 403


def test_who_puts_it_away_sees_it_no_more_and_others_still_do(client: Client, ada: User) -> None:
    notice = Notice.objects.create(title="News of today")
    page_of(client, ada)

    assert dismissed(client, notice.pk) == 302
    assert dismissed(client, notice.pk) == 302

    assert "News of today" not in page_of(client, ada)
    assert "News of today" in page_of(client, people.ensure_verified(email="ben@example.com"))


def test_what_has_not_begun_or_has_ended_or_is_for_another_plan_is_not_shown(
    client: Client, ada: User
) -> None:
    now = timezone.now()
    Notice.objects.create(title="Of tomorrow", starts_at=now + timedelta(days=1))
    Notice.objects.create(title="Of yesterday", starts_at=now - timedelta(days=2), ends_at=now)
    Notice.objects.create(title="For enterprises", plan_id="enterprise")
    Notice.objects.create(title="For this plan", plan_id=organizations.of_user(ada).plan_id)

    page = page_of(client, ada)

    assert "For this plan" in page
    for title in ("Of tomorrow", "Of yesterday", "For enterprises"):
        assert title not in page


def test_its_words_are_no_markup(client: Client, ada: User) -> None:
    Notice.objects.create(title="<b>Loud</b>", text="<script>x()</script> [here](javascript:x)")

    page = page_of(client, ada)

    assert "<b>Loud" not in page
    assert "<script>x" not in page
    assert 'href="javascript' not in page


def test_notices_cost_a_page_one_query_and_none_while_there_is_none(client: Client, ada: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            page_of(client, ada)
        return len(found)

    queries()
    without = queries()
    for number in range(30):
        Notice.objects.create(title=f"News {number}")
    notices.forget()

    assert queries() == queries() == without + 1


@pytest.mark.parametrize("named", ["", "0", "x", "9" * 30, "²"])
def test_what_is_no_notice_is_not_found(client: Client, ada: User, named: str) -> None:
    client.force_login(ada)

    assert dismissed(client, named) == 404


def test_nobody_is_led_to_another_site(client: Client, ada: User) -> None:
    notice = Notice.objects.create(title="News of today")
    client.force_login(ada)

    answer = client.post(reverse("dismiss-notice"), {"notice": notice.pk, "next": "https://evil.example/"})

    assert answer.headers["location"] == reverse("dashboard")
