"""The audit finds the smallest drift and names the culprit."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import redis
from django.core.management import call_command
from django.db import connection

from accounts.models import Organization
from billing import audit, grants, holds, opening, posting, topups
from billing.models import DeadLetter
from billing.settlement import settle_batch
from billing.shipper import Shipper
from billing.spool import Intent, Spool
from tests.billing.cast import usage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def busy(lasting_organization: Organization) -> Organization:
    """An organization with every kind of money: granted, bought, used, posted and not yet posted."""
    grants.grant(organization=lasting_organization, amount_nano=1_500, reason="Test", key="g", actor="system")
    topups.record_top_up(organization=lasting_organization, cents=1, key="t", actor="system")
    settle_batch(
        [usage(lasting_organization, request_id="req_1"), usage(lasting_organization, request_id="req_2")]
    )
    posting.post_usage()
    settle_batch([usage(lasting_organization, request_id="req_3")])
    return lasting_organization


def culprits(root: Path) -> dict[str, list[str]]:
    return {check.name: check.culprits for check in audit.run(root=root, wait_s=0) if not check.ok}


def unguarded(statement: str) -> None:
    """Change what the guards would refuse."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET session_replication_role = DEFAULT")


def test_sound_money_passes_every_check(busy: Organization, spool_root: Path) -> None:
    opening.open_organization(busy.pk)

    checks = audit.run(root=spool_root, wait_s=0)

    names = [check.name for check in checks]
    assert names == ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I11", "I12", "I13", "I14", "I15", "I16"]
    assert culprits(spool_root) == {}


DRIFTS = {
    "UPDATE billing_posting SET amount_nano = amount_nano + 1 WHERE amount_nano < -9000000": (
        "I1",
        "the whole ledger: sum 1 nano-USD",
    ),
    "UPDATE billing_wallet SET balance_nano = balance_nano + 1": ("I2", "org_"),
    "UPDATE billing_wallet SET unposted_nano = unposted_nano + 1": ("I2", "org_"),
    "UPDATE billing_creditlot SET remaining_nano = remaining_nano - 1 WHERE kind = 'paid'": ("I2", "org_"),
    "DELETE FROM billing_usagerecord WHERE request_id = 'req_3'": ("I3", "org_"),
    "UPDATE billing_spend SET cost_nano = cost_nano + 1 WHERE period = 202611 AND subject = 'key_alice'": (
        "I3",
        "key_alice in 202611: 3001 nano-USD spent, usage records of 3000",
    ),
    "UPDATE billing_spend SET cost_nano = cost_nano - 1 WHERE period = 20261118 AND subject = organization_id": (
        "I3",
        "in 20261118: 2999 nano-USD spent, usage records of 3000",
    ),
    "DELETE FROM billing_spend WHERE period = 202611 AND subject = organization_id": (
        "I3",
        "in 202611: 0 nano-USD spent, usage records of 3000",
    ),
    "UPDATE billing_wallet SET balance_nano = -1": ("I4", "org_"),
    "UPDATE billing_usagerecord SET cost_picos = cost_picos + 501 WHERE request_id = 'req_2'": (
        "I5",
        "req_2: 1000501",
    ),
    "UPDATE billing_usagerecord SET attempts = 0 WHERE request_id = 'req_1'": ("I6", "req_1: no attempt"),
    "UPDATE billing_usagerecord SET status = 404 WHERE request_id = 'req_1'": (
        "I6",
        "req_1: completed with status 404",
    ),
    "UPDATE billing_usagerecord SET input_tokens = 0, output_tokens = 0 WHERE request_id = 'req_1'": (
        "I6",
        "req_1: completed with status 200, 0 tokens in, 0 out, 0 beside tokens",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_is_found_and_its_culprit_named(busy: Organization, spool_root: Path, drift: str) -> None:
    name, culprit = DRIFTS[drift]
    unguarded(drift)

    found = culprits(spool_root)

    assert any(culprit in line for line in found[name]), found


def test_a_request_with_two_records_is_named(busy: Organization, spool_root: Path) -> None:
    unguarded("""
        INSERT INTO billing_usagerecord SELECT (twin).* FROM (
            SELECT jsonb_populate_record(record, jsonb_build_object('started_at', started_at - interval '1 day')) AS twin
            FROM billing_usagerecord record WHERE request_id = 'req_1') AS twins
    """)

    assert culprits(spool_root)["I5"] == ["req_1: 2 usage records"]


@pytest.mark.parametrize("unit", ["images", "searches", "characters", "seconds"])
def test_what_is_billed_beside_tokens_is_paid(
    lasting_organization: Organization, spool_root: Path, unit: str
) -> None:
    settle_batch([usage(lasting_organization, input_tokens=0, output_tokens=0, cost_nano=5, **{unit: 1})])

    assert "I6" not in culprits(spool_root)


def test_rounding_is_half_to_even(lasting_organization: Organization, spool_root: Path) -> None:
    for picos, nano in ((1_500, 2), (2_500, 2), (2_501, 3), (499, 0), (500, 0)):
        settle_batch([usage(lasting_organization, cost_picos=picos, cost_nano=nano)])

    assert "I5" not in culprits(spool_root)


def test_valkey_one_nano_off_is_found(busy: Organization, spool_root: Path, valkey: redis.Redis) -> None:
    opening.open_organization(busy.pk)
    known = holds.known_wallet(valkey, busy.pk)
    assert known is not None
    wrong = holds.PublishedWallet(busy.pk, 99, known.balance_nano - 1)
    holds.publish(valkey, epoch=holds.ensure_epoch(valkey), wallet=wrong)

    assert [line.split(":")[0] for line in culprits(spool_root)["I8"]] == [busy.pk]


@pytest.mark.parametrize(
    ("request_id", "state", "said"),
    [
        ("req_1", "running", "req_1 is settled and still holds 7"),
        ("req_9", "ended", "req_9 holds 7 nano-USD and is now"),
    ],
)
def test_a_hold_that_never_ended_is_named(
    busy: Organization, spool_root: Path, valkey: redis.Redis, request_id: str, state: str, said: str
) -> None:
    opening.open_organization(busy.pk)
    leaked = holds.RegisteredHold(busy.pk, request_id, "key_alice", 7, is_running=state == "running")
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[leaked])

    [line] = culprits(spool_root)["I7"]

    assert said in line


def test_a_running_request_is_no_culprit(busy: Organization, spool_root: Path, valkey: redis.Redis) -> None:
    opening.open_organization(busy.pk)
    running = holds.RegisteredHold(busy.pk, "req_9", "key_alice", 7, is_running=True)
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[running])
    spool = Spool.create(spool_root)
    spool.append(
        Intent(
            "req_9", busy.pk, "key_alice", "m", "p", "c", "1", 1, is_stream=False, hold_nano=7, cost_nano=1
        )
    )

    assert culprits(spool_root) == {}
    spool.close()


def test_unshipped_usage_a_dead_gateway_and_dead_letters_are_named(
    busy: Organization, spool_root: Path, valkey: redis.Redis
) -> None:
    spool, dead = Spool.create(spool_root), Spool.create(spool_root)
    spool.append(usage(busy, request_id="req_8"))
    dead.append(
        Intent(
            "req_9", busy.pk, "key_alice", "m", "p", "c", "1", 1, is_stream=False, hold_nano=7, cost_nano=1
        )
    )
    dead.close()
    DeadLetter.objects.create(request_id="req_7", organization_id=busy.pk, payload="{}", error="Test")

    lines = "\n".join(culprits(spool_root)["I11"])
    assert all(f"req_{number}" in lines for number in (7, 8, 9))

    shipper = Shipper(spool_root, valkey)
    shipper.step()
    shipper.step()
    DeadLetter.objects.all().delete()
    assert "I11" not in culprits(spool_root)
    spool.close()


def test_a_table_without_its_guard_is_named(busy: Organization, spool_root: Path) -> None:
    guard = "billing_journal_append_only ON billing_journal"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {guard}")
        try:
            found = culprits(spool_root)
        finally:
            cursor.execute(
                f"CREATE TRIGGER {guard.replace(' ON ', ' BEFORE UPDATE OR DELETE OR TRUNCATE ON ')} "
                "FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change()"
            )

    assert found == {
        "I12": ["UPDATE on billing_journal is not refused", "DELETE on billing_journal is not refused"]
    }


def run_command() -> tuple[int, dict[str, object]]:
    output = io.StringIO()
    try:
        call_command("billing_verify", "--json", "--wait-s=0", stdout=output)
    except SystemExit as exc:
        return int(str(exc.code)), json.loads(output.getvalue())
    return 0, json.loads(output.getvalue())


def test_the_command_exits_with_1_and_names_the_culprit(busy: Organization) -> None:
    status, answer = run_command()
    assert (status, answer["ok"]) == (0, True)

    unguarded("UPDATE billing_wallet SET balance_nano = balance_nano + 1")
    status, answer = run_command()

    assert (status, answer["ok"]) == (1, False)
    assert busy.pk in json.dumps(answer["checks"])
