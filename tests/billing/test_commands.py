"""Commands for scripts and staff, the admin, and the periodic tasks."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import redis
from django.contrib.admin.sites import site
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts import organizations, staff_lists
from accounts.models import Organization, User
from billing import dead_letters, grants, holds, opening, tasks, wallets
from billing.models import CreditLot, DeadLetter, Journal, UsageRecord, Wallet
from billing.settlement import settle_batch
from tests.billing.cast import usage

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Any:
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return json.loads(output.getvalue()) if "--json" in arguments else output.getvalue()


def test_a_top_up_with_one_key_counts_once(organization: Organization) -> None:
    first = run("billing_topup", "--org", organization.pk, "--cents=1000", "--key=k", "--json")
    second = run("billing_topup", "--organization", organization.pk, "--cents=1000", "--key=k", "--json")

    assert (first["is_new"], second["is_new"]) == (True, False)
    assert first["journal"] == second["journal"]
    assert second["balance_nano"] == 10_000_000_000


def test_top_ups_without_a_key_are_two(organization: Organization) -> None:
    run("billing_topup", "--org", organization.pk, "--cents=1")

    assert "$0.02" in run("billing_topup", "--org", organization.pk, "--cents=1")


@pytest.mark.parametrize(
    "arguments",
    [["--org=org_unknown", "--cents=1"], ["--cents=0"], [f"--cents={10**23}"], ["--cents=2", "--key=used"]],
)
def test_a_wrong_top_up_is_refused(organization: Organization, arguments: list[str]) -> None:
    run("billing_topup", "--org", organization.pk, "--cents=1", "--key=used")
    named = arguments if "--org=org_unknown" in arguments else ["--org", organization.pk, *arguments]

    with pytest.raises(CommandError):
        run("billing_topup", *named)

    assert wallets.of(organization).balance_nano == 10_000_000


def test_a_customer_is_created_with_plan_and_credit(organization: Organization) -> None:
    arguments = ["--email=New@example.org", "--plan=enterprise", "--credit-cents=250", "--json"]
    first, second = run("organization_create", *arguments), run("organization_create", *arguments)

    created = Organization.objects.get(pk=first["organization"])
    assert created.plan_id == "enterprise"
    assert first["balance_nano"] == 2_500_000_000
    assert CreditLot.objects.get(organization=created).kind == "adjustment"
    assert first["id"] != second["id"]
    assert User.objects.filter(email="new@example.org").count() == 1


@pytest.mark.parametrize(
    "arguments", [["--email=x", "--plan=free"], ["--email=a@b.org", "--plan=gold"],
                  ["--email=a@b.org", "--plan=free", "--credit-cents=-1"],
                  ["--email=a@b.org", "--plan=free", f"--credit-cents={10**23}"],
                  [f"--email={'a' * 249}@b.org", "--plan=free"]]
)  # fmt: skip
def test_a_wrong_customer_is_refused(organization: Organization, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run("organization_create", *arguments)

    assert Organization.objects.count() == 1


def bury(organization: Organization) -> DeadLetter:
    dead_letters.bury(usage(organization, request_id="req_1"), error=ValueError("Test"))
    return DeadLetter.objects.get()


def test_a_new_person_logs_in_to_the_organization_that_was_created(organization: Organization) -> None:
    """``organization`` only brings the plans; the person is new."""
    email = "someone.new.to.us@example.com"

    created = run(
        "organization_create", f"--email={email}", "--plan=enterprise", "--credit-cents=7", "--json"
    )

    seen = organizations.of_user(User.objects.get(email=email))
    assert (seen.pk, seen.plan_id, seen.name) == (created["id"], "enterprise", email)
    assert wallets.of(seen).balance_nano == 70_000_000


def test_a_dead_letter_can_be_settled_once_its_cause_is_gone(organization: Organization) -> None:
    letter = bury(organization)

    assert "settled" in run("dead_letter", str(letter.pk), "--settle")

    assert UsageRecord.objects.get().request_id == "req_1"
    assert wallets.of(organization).balance_nano == -1_000
    with pytest.raises(CommandError, match="no open dead letter"):
        run("dead_letter", str(letter.pk), "--settle")


def test_a_dismissed_dead_letter_charges_nobody_and_keeps_the_reason(organization: Organization) -> None:
    letter = bury(organization)

    run("dead_letter", str(letter.pk), "--dismiss=A test")

    letter.refresh_from_db()
    assert letter.resolved_at is not None
    assert letter.resolution == "dismissed: A test"
    assert not UsageRecord.objects.exists()


def test_a_dead_letter_that_still_cannot_be_stored_stays_open(organization: Organization) -> None:
    dead_letters.bury(usage(organization, outcome="unheard_of"), error=ValueError("Test"))
    letter = DeadLetter.objects.get()

    with pytest.raises(CommandError, match="still cannot be stored"):
        run("dead_letter", str(letter.pk), "--settle")

    letter.refresh_from_db()
    assert letter.resolved_at is None


def test_the_same_record_is_buried_once(organization: Organization) -> None:
    assert bury(organization) == bury(organization)


def test_tasks_are_safe_twice(organization: Organization) -> None:
    grants.grant(
        organization=organization,
        amount_nano=5_000,
        reason="Test",
        key="g",
        actor="system",
        expires_at=timezone.now(),
    )
    settle_batch([usage(organization)])

    for task in (
        tasks.post_usage,
        tasks.expire_lots,
        tasks.prepare_partitions,
        tasks.reannounce_balances,
    ) * 2:
        task.apply(throw=True)

    assert list(Journal.objects.order_by("created_at").values_list("kind", flat=True)) == [
        "grant",
        "usage",
        "expiry",
    ]
    assert wallets.of(organization).balance_nano == 0


def test_a_lost_balance_is_announced_again(organization: Organization, valkey: redis.Redis) -> None:
    opening.open_organization(organization.pk)
    Wallet.objects.filter(pk=organization.pk).update(balance_nano=700, version=5, updated_at=timezone.now())

    tasks.reannounce_balances.apply(throw=True)

    assert holds.known_wallet(valkey, organization.pk) == holds.KnownWallet(700, 0, 0)


MODELS = [Wallet, CreditLot, Journal, UsageRecord, DeadLetter]


@pytest.mark.parametrize("model", MODELS)
def test_staff_reads_money_and_changes_none_of_it(
    organization: Organization, client: Client, model: type[Any]
) -> None:
    grants.grant(organization=organization, amount_nano=5_000, reason="Test", key="g", actor="system")
    settle_batch([usage(organization, request_id="req_1")])
    bury(organization)
    client.force_login(User.objects.create_superuser("root@example.org", "secret"))
    page = f"/admin/billing/{model._meta.model_name}/"
    row = model._default_manager.get()

    assert str(row.pk) in client.get(page).content.decode()
    assert client.get(f"{page}{row.pk}/change/").status_code == 200
    assert client.post(f"{page}{row.pk}/change/", {}).status_code == 403
    assert client.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{page}add/").status_code == 403


def test_the_list_of_usage_counts_no_further_than_anyone_pages(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_batch([usage(organization) for _ in range(5)])
    monkeypatch.setattr(staff_lists, "MOST_COUNTED", 3)

    assert staff_lists.BoundedPaginator(UsageRecord.objects.order_by("pk"), 2).count == 3
    assert site._registry[UsageRecord].show_full_result_count is False
