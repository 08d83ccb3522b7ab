"""Owners, and members of their own, are told of a budget at 80 % and when it is used up, once for each period."""

from __future__ import annotations

import asyncio
import smtplib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.conf import settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from pytest_django import Settings

from accounts import budgets, keys
from accounts.models import ApiKey, Membership, Organization, Role, User
from billing import budget_alerts, holds, tasks
from billing.models import BudgetAlert
from billing.refusals import InsufficientCredit
from billing.settlement import settle_batch
from fastanchor.lib.money import NANOS_PER_CENT, cents_to_nanos
from fastanchor.lib.valkey import TurnPipeline
from tests.billing.cast import no_valkey, usage
from tests.billing.test_holds import ask

# A Wednesday.
AT = datetime(2026, 11, 18, 12, tzinfo=UTC)


def spend(organization: Organization, cents: int, *, key: str = "key_alice", at: datetime = AT) -> None:
    nano = cents_to_nanos(cents)
    started = int(at.timestamp() * 1_000)
    settle_batch(
        [
            usage(
                organization,
                key_id=key,
                cost_nano=nano,
                cost_picos=nano * 1_000,
                hold_nano=nano,
                started_at_ms=started,
            )
        ]
    )


def tell(at: datetime = AT) -> list[str]:
    """Do what the task does, and return the subjects of the mails that it sent."""
    mail.outbox.clear()
    budget_alerts.rearm(at)
    budget_alerts.send_due(at)
    return [str(each.subject) for each in mail.outbox]


def budget(organization: Organization, **cents: int | None) -> None:
    found = {
        f"budget_{name}_nano": None if one is None else cents_to_nanos(one) for name, one in cents.items()
    }
    Organization.objects.filter(pk=organization.pk).update(**found)


FIRST = "82 % of a daily budget is spent"
USED_UP = "A daily budget is used up"


def test_a_budget_is_told_of_at_80_percent_and_when_it_is_used_up_once_each(
    organization: Organization,
) -> None:
    budget(organization, day=1_000)
    spend(organization, 799)
    before = tell()
    spend(organization, 21)

    told = [tell(), tell()]
    spend(organization, 180)
    told += [tell(), tell()]

    assert (before, told) == ([], [[FIRST], [], [USED_UP], []])
    assert set(BudgetAlert.objects.values_list("percent", "period", "budget_nano")) == {
        (80, "20261118", cents_to_nanos(1_000)),
        (100, "20261118", cents_to_nanos(1_000)),
    }


def test_what_is_used_up_at_once_is_told_by_one_mail(organization: Organization) -> None:
    budget(organization, day=1_000)
    spend(organization, 1_000)

    assert [tell(), tell()] == [[USED_UP], []]


def test_every_period_is_told_of_anew(organization: Organization) -> None:
    budget(organization, day=1_000, week=2_000)
    spend(organization, 820)
    assert tell() == [FIRST]

    tomorrow = AT + timedelta(days=1)
    assert tell(tomorrow) == []
    spend(organization, 820, at=tomorrow)

    assert tell(tomorrow) == [FIRST, "82 % of a weekly budget is spent"]
    assert tell(tomorrow) == []


def test_a_raised_budget_is_told_of_again_where_its_part_was_not_reached_yet(
    organization: Organization,
) -> None:
    budget(organization, day=1_000)
    spend(organization, 1_000)
    tell()

    budget(organization, day=1_220)
    raised = tell()
    spend(organization, 220)
    used_up = tell()
    budget(organization, day=2_000)
    assert tell() == []
    spend(organization, 420)

    # At 81 % of the new budget only the second mail can come again, at 61 % both.
    assert (raised, used_up) == ([], [USED_UP])
    assert tell() == [FIRST]


def test_a_budget_that_is_taken_away_and_set_again_is_told_of_again(organization: Organization) -> None:
    budget(organization, day=1_000)
    spend(organization, 820)
    tell()
    budget(organization, day=None)
    without = tell()
    budget(organization, day=1_000)

    assert (without, tell()) == ([], [FIRST])


def test_owners_are_told_of_every_budget_and_members_of_their_own(
    organization: Organization, settings: Settings
) -> None:
    settings.SITE_ORIGIN = "https://gateway.example"
    bob = User.objects.create_user("bob@example.org")
    eve = User.objects.create_user("eve@example.org")
    member = Membership.objects.create(user=bob, organization=organization)
    Membership.objects.create(user=eve, organization=organization, role=Role.OWNER)
    key, _ = keys.create(
        organization=organization, name="Build & test", created_by=bob, budget_total_nano=NANOS_PER_CENT * 200
    )
    owner = organization.memberships.order_by("pk")[0].user
    budgets.set_member(membership=member, by=owner, budget_month_nano=NANOS_PER_CENT * 100)
    spend(organization, 170, key=key.pk)

    tell()

    first = [["alice@example.org"], ["eve@example.org"]]
    assert [each.to for each in mail.outbox] == [*first, *first, ["bob@example.org"]]
    of_key, of_member = mail.outbox[0], mail.outbox[4]
    assert of_key.subject == "85 % of a lifetime budget is spent"
    assert "of the API key “Build & test” of Alice is $2.00, and $1.70 of it are spent (85 %)." in of_key.body
    assert "refused with status 402 until an owner raises it." in of_key.body
    assert f"https://gateway.example/billing/budgets/keys/{key.pk}/\n" in of_key.body
    assert of_member.subject == "A monthly budget is used up"
    assert "of bob@example.org in Alice is $1.00, and $1.70 of it are spent" in of_member.body
    assert "until it starts anew on 1 December 2026 at 00:00 UTC, or until" in of_member.body
    assert "https://gateway.example/billing/budgets/\n" in of_member.body


def test_a_revoked_key_and_a_budget_of_nothing_tell_nobody(organization: Organization) -> None:
    key, _ = keys.create(organization=organization, name="k", budget_day_nano=NANOS_PER_CENT)
    spend(organization, 1, key=key.pk)
    keys.revoke(key=ApiKey.objects.get(), by=None)
    budget(organization, day=0)

    assert tell() == []


@pytest.mark.parametrize(
    ("spent", "told"), [(790, [[], []]), (900, [[USED_UP], []])], ids=["a large request", "used up"]
)
def test_a_budget_that_refuses_is_used_up_once_the_first_mail_is_due(
    organization: Organization, valkey: redis.Redis, spent: int, told: list[list[str]]
) -> None:
    budget(organization, day=1_000)
    spend(organization, spent)
    refuse(organization, valkey, spent_nano=cents_to_nanos(spent))

    assert [tell(), tell()] == told

    # Raised, it has not refused anybody yet.
    budget(organization, day=1_100)
    spend(organization, 5)
    assert tell() == []
    assert not BudgetAlert.objects.filter(percent=100).exists()


def refuse(organization: Organization, valkey: redis.Redis, *, spent_nano: int) -> None:
    """Let a real refusal happen: a request that costs a dollar more than is left."""
    epoch = holds.ensure_epoch(valkey)
    wallet = holds.PublishedWallet(organization.pk, 9, 10**12)
    spent = holds.Spent(organization.pk, spent_nano, spent_nano, spent_nano, spent_nano)
    mark = holds.begin_opening(valkey, organization.pk)
    holds.open_wallet(valkey, epoch=epoch, wallet=wallet, mark=mark, spending=holds.Spending(AT, [spent]))
    wanted = ask(
        organization_id=organization.pk,
        output_tokens=3 * 10**9,
        budgets=(organization.pk, "day", cents_to_nanos(1_000)),
    )

    async def place() -> None:
        pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=2.0)

        async def known(organization_id: str) -> str:
            return epoch.name

        with pytest.raises(InsufficientCredit):
            await holds.Holds(pipeline, known, clock=AT.timestamp).place(wanted)
        await pipeline.close()

    asyncio.run(place())


def test_without_valkey_what_postgresql_knows_is_told(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_alerts, "sync_client", no_valkey)
    budget(organization, day=1_000)
    spend(organization, 820)

    assert tell() == [FIRST]


def test_a_mail_that_cannot_be_sent_stays_due(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(organization, day=1_000)
    spend(organization, 820)
    with monkeypatch.context() as away:
        away.setattr(EmailBackend, "send_messages", _refuse)
        with pytest.raises(smtplib.SMTPException):
            budget_alerts.send_due(AT)

    assert tell() == [FIRST]


def _refuse(*_: object) -> int:
    raise smtplib.SMTPServerDisconnected


def test_the_task_looks_at_the_present_moment(organization: Organization) -> None:
    budget(organization, month=1_000)
    spend(organization, 820, at=datetime.now(UTC))

    for _ in range(2):
        tasks.mail_about_budgets()

    assert [each.subject for each in mail.outbox] == ["82 % of a monthly budget is spent"]


def test_ten_workers_at_once_send_one_mail(lasting_organization: Organization) -> None:
    budget(lasting_organization, day=1_000)
    spend(lasting_organization, 820)

    def work(_: int) -> int:
        try:
            return budget_alerts.send_due(AT)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        counts = list(pool.map(work, range(10)))

    assert sum(counts) == 1
    assert [each.subject for each in mail.outbox] == [FIRST]
