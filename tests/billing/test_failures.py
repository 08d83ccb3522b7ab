"""Requests that failed have records like all others, and move no money at all."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from accounts.models import Organization
from billing import audit, posting, spool, statements, usage as usages, usage_mirror
from billing.attempts import AttemptMade
from billing.dead_letters import bury, settle
from billing.models import DeadLetter, Journal, Outcome, Spend, UsageRecord, Wallet
from billing.months import Month
from billing.settlement import settle_batch
from billing.spool import Usage
from tests.billing.cast import STARTED_AT_MS, failed, usage

pytestmark = pytest.mark.django_db

MONTH = Month.of(datetime.fromtimestamp(STARTED_AT_MS / 1_000, UTC))


def _breaches() -> dict[str, list[str]]:
    """Return what the books of usage find wrong; the organization of these tests may owe us."""
    return {
        check.name: check.culprits for check in audit.stored_checks() if not check.ok and check.name != "I4"
    }


def test_a_failure_is_recorded_with_its_attempts(organization: Organization) -> None:
    settle_batch([failed(organization, request_id="req_1")])

    record = UsageRecord.objects.get()
    assert (record.outcome, record.status, record.error_code) == (Outcome.FAILED, 503, "service_unavailable")
    assert usages.attempts_of(record) == (
        AttemptMade("openai", "chan_1", 503, "upstream_error", 40),
        AttemptMade("azure", "chan_2", 0, "unreachable", 3),
    )
    assert usages.entry_of(record) == failed(organization, request_id="req_1")


def test_one_that_was_served_at_once_keeps_no_list_and_tells_its_attempt(organization: Organization) -> None:
    settle_batch([usage(organization)])

    record = UsageRecord.objects.get()
    assert record.attempts_made is None
    assert usages.attempts_of(record) == (AttemptMade("openai", "chan_1", 200, "", 300),)


def test_attempts_of_records_from_before_there_was_a_list_are_not_known(organization: Organization) -> None:
    settle_batch([usage(organization, attempts=3), usage(organization, outcome="interrupted", status=0)])

    assert [usages.attempts_of(record) for record in UsageRecord.objects.all()] == [(), ()]


def test_failures_move_neither_wallet_nor_spending_nor_ledger(organization: Organization) -> None:
    settle_batch([usage(organization)])
    posting.post_usage()
    before = (Wallet.objects.values().get(), list(Spend.objects.values()), Journal.objects.count())

    [settled] = settle_batch([failed(organization), failed(organization)])
    posting.post_usage()

    assert (Wallet.objects.values().get(), list(Spend.objects.values()), Journal.objects.count()) == before
    assert len(settled.inserted) == len(settled.ended) == 2
    assert _breaches() == {}


def test_the_first_record_of_a_key_may_be_a_failure(organization: Organization) -> None:
    settle_batch([failed(organization, attempts=0, channel_id="")])

    assert not Spend.objects.exists()
    assert _breaches() == {}


def test_statements_and_the_mirror_know_nothing_of_what_failed(organization: Organization) -> None:
    organization.created_at = MONTH.start
    settle_batch([usage(organization), failed(organization), failed(organization, model_id="gpt-5")])

    statement = statements.make(organization=organization, month=MONTH)

    assert [(model.model_id, model.requests) for model in statement.models] == [("gpt-4o", 1)]
    day = datetime.fromtimestamp(STARTED_AT_MS / 1_000, UTC).date()
    assert usage_mirror._used_micro(day) == {organization.pk: 1}


def test_a_buried_failure_can_be_settled_with_its_attempts(organization: Organization) -> None:
    buried = failed(organization)
    bury(buried, error=ValueError("x"))

    settle(DeadLetter.objects.get())

    assert usages.attempts_of(UsageRecord.objects.get()) == buried.attempts_made


def test_spools_of_older_and_newer_versions_are_read(organization: Organization) -> None:
    told = failed(organization)
    written = msgspec.msgpack.decode(msgspec.msgpack.encode(told))
    read = msgspec.msgpack.Decoder(spool.Record)

    older = read.decode(msgspec.msgpack.encode(written[:-3]))
    before_models = read.decode(msgspec.msgpack.encode([*written[:-3], [made[:5] for made in written[-3]]]))
    newer = read.decode(msgspec.msgpack.encode([*written, "of a later version"]))

    assert isinstance(older, Usage)
    assert (older.attempts_made, older.request_id) == ((), told.request_id)
    assert before_models == newer == told
