"""Settlement: each request counts once, whatever comes twice or at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DataError, IntegrityError, connection
from hypothesis import given, settings, strategies as st

from accounts import keys
from accounts.models import Organization
from billing import holds, partitions, settlement, spending, usage as usages, wallets
from billing.models import Outcome, Spend, UsageRecord, Wallet
from billing.settlement import Settlement, settle_batch
from billing.spool import Checkpoint, Intent, Usage
from tests.billing.cast import STARTED_AT_MS, UNITS, make_organization, usage

pytestmark = pytest.mark.django_db


def test_a_settled_request_has_a_record_with_all_its_facts(organization: Organization) -> None:
    settle_batch([usage(organization, request_id="req_1", first_token_ms=-1, cached_tokens=7)])

    record = UsageRecord.objects.get(request_id="req_1")
    assert record.organization == organization
    assert record.started_at == datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC)
    assert (record.finished_at - record.started_at).total_seconds() == 0.9
    assert record.first_token_ms is None
    assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (200, 7, 50)
    assert (record.cost_picos, record.cost_nano, record.hold_nano) == (1_000_000, 1_000, 5_000)
    assert record.outcome == Outcome.COMPLETED


def test_a_record_keeps_every_class_of_usage(organization: Organization) -> None:
    settle_batch([usage(organization, **UNITS)])

    record = UsageRecord.objects.get()
    assert {name: getattr(record, name) for name in UNITS} == UNITS
    assert usages.units_text(record) == "16 images, 17 searches, 18 characters, 19 seconds"


def test_what_an_own_key_served_is_recorded_and_moves_no_money(organization: Organization) -> None:
    own = {"is_own_key": True, "cost_picos": 0, "cost_nano": 0}

    [settled] = settle_batch([usage(organization, request_id="req_own", **own)])

    record = UsageRecord.objects.get(is_own_key=True)
    assert (record.request_id, record.input_tokens, record.output_tokens) == ("req_own", 200, 50)
    assert settled.wallet.balance_nano == 0
    assert not Spend.objects.exists()


def test_the_database_refuses_an_own_key_s_request_that_costs(organization: Organization) -> None:
    with pytest.raises(IntegrityError, match="usage_own_key_costs_nothing"):
        settle_batch([usage(organization, is_own_key=True)])


def test_the_settlement_writes_every_field_that_a_spool_carries() -> None:
    assert set(settlement._COLUMNS) == set(Usage.__struct_fields__)


def test_a_shipper_of_an_older_version_can_still_settle(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {name: kind for name, kind in settlement._COLUMNS.items() if name not in UNITS}
    columns, kinds = ", ".join(settlement._COLUMNS), list(settlement._COLUMNS.values())
    statement = settlement._INSERT.replace(f", {', '.join(UNITS)}", "")
    statement = statement.replace(
        ", ".join(f"%s::{kind}[]" for kind in kinds), ", ".join(f"%s::{kind}[]" for kind in old.values())
    )
    assert columns not in statement
    monkeypatch.setattr(settlement, "_COLUMNS", old)
    monkeypatch.setattr(settlement, "_INSERT", statement)

    settle_batch([usage(organization)])

    assert UsageRecord.objects.get().images == 0


def test_a_partition_made_later_has_every_column(organization: Organization) -> None:
    made = partitions.prepare(today=date(2031, 3, 1), months_ahead=0)
    in_march = int(datetime(2031, 3, 9, tzinfo=UTC).timestamp()) * 1000

    settle_batch([usage(organization, started_at_ms=in_march, **UNITS)])

    assert made == ["billing_usagerecord_203103"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT seconds FROM billing_usagerecord_203103")
        assert cursor.fetchall() == [(19,)]


def test_milliseconds_survive_exactly(organization: Organization) -> None:
    settle_batch([usage(organization, started_at_ms=STARTED_AT_MS + 7)])

    assert UsageRecord.objects.get().started_at.microsecond == 7_000


def test_settling_moves_the_balance_and_the_spending_of_the_key(organization: Organization) -> None:
    settlements = settle_batch([usage(organization, cost_nano=700), usage(organization, cost_nano=300)])

    wallet = Wallet.objects.get(organization=organization)
    assert (wallet.balance_nano, wallet.unposted_nano, wallet.version) == (-1_000, 1_000, 1)
    assert set(Spend.objects.values_list("subject", "period", "cost_nano")) == {
        (subject, period, 1_000)
        for subject in ("key_alice", organization.pk)
        for period in (202611, 20261118)
    }
    [settled] = settlements
    assert settled.wallet == holds.PublishedWallet(organization.pk, 1, -1_000)
    assert settled.spending is not None
    assert {one.subject: one.lifetime_nano for one in settled.spending.subjects} == {
        "key_alice": 1_000,
        organization.pk: 1_000,
    }
    assert sorted(settled.inserted) == sorted(settled.ended)


def test_a_batch_that_comes_twice_counts_once_and_ends_its_holds_again(organization: Organization) -> None:
    batch = [usage(organization, request_id="req_1"), usage(organization, request_id="req_2")]
    settle_batch(batch)

    [again] = settle_batch([*batch, usage(organization, request_id="req_3")])

    assert UsageRecord.objects.count() == 3
    assert again.inserted == ["req_3"]
    assert sorted(again.ended) == ["req_1", "req_2", "req_3"]
    assert again.wallet == holds.PublishedWallet(organization.pk, 2, -3_000)
    assert set(Spend.objects.values_list("cost_nano", flat=True)) == {3_000}


def test_a_request_twice_in_one_batch_counts_once(organization: Organization) -> None:
    same = usage(organization)

    [settled] = settle_batch([same, same])

    assert settled.wallet.balance_nano == -1_000


def test_requests_that_left_no_record_end_their_holds_and_move_nothing(organization: Organization) -> None:
    settle_batch([usage(organization)])

    [settled] = settle_batch([], released={"req_void": organization.pk, "req_lost": "org_unknown"})

    assert settled.ended == ["req_void"]
    assert settled.wallet == holds.PublishedWallet(organization.pk, 1, -1_000)


def test_spending_is_kept_by_the_month_a_request_started_in(organization: Organization) -> None:
    july = int(datetime(2026, 7, 31, 23, 59, 59, 999_000, UTC).timestamp() * 1000)
    settle_batch([usage(organization, started_at_ms=july), usage(organization, started_at_ms=july + 1)])

    by_period = Spend.objects.filter(subject="key_alice").values_list("period", "cost_nano")
    assert dict(by_period) == {202607: 1_000, 202608: 1_000, 20260731: 1_000, 20260801: 1_000}
    at = datetime(2026, 8, 1, tzinfo=UTC)
    [spent] = spending.of_subjects(organization.pk, ["key_alice"], at).subjects
    assert spent == holds.Spent("key_alice", 1_000, 2_000, 1_000, 2_000)


def test_a_key_counts_for_the_member_who_created_it_and_for_the_organization(
    organization: Organization,
) -> None:
    owner = organization.members.get()
    mine, _ = keys.create(organization=organization, name="mine", created_by=owner)
    nobodys, _ = keys.create(organization=organization, name="nobody's")

    [settled] = settle_batch(
        [
            usage(organization, key_id=mine.pk),
            usage(organization, key_id=mine.pk),
            usage(organization, key_id=nobodys.pk),
        ]
    )

    assert settled.spending is not None
    assert {one.subject: one.lifetime_nano for one in settled.spending.subjects} == {
        organization.pk: 3_000,
        mine.pk: 2_000,
        nobodys.pk: 1_000,
        f"user_{owner.pk}": 2_000,
    }


def test_an_iso_week_runs_over_the_turn_of_the_year(organization: Organization) -> None:
    # Monday, 28 December 2026, to Sunday, 3 January 2027, is the 53rd week of 2026.
    days = [datetime(2026, 12, day, 12, tzinfo=UTC) for day in (27, 28, 31)]
    days += [datetime(2027, 1, day, 12, tzinfo=UTC) for day in (1, 3, 4)]
    settle_batch([usage(organization, started_at_ms=int(day.timestamp() * 1000)) for day in days])

    def week(day: datetime) -> int:
        [spent] = spending.of_subjects(organization.pk, [organization.pk], day).subjects
        return spent.week_nano

    assert [week(day) for day in days] == [1_000, 4_000, 4_000, 4_000, 4_000, 1_000]


def test_what_is_told_at_midnight_is_seen_from_the_gateway_s_day(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    class Behind(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return tomorrow - timedelta(seconds=1)

    monkeypatch.setattr(settlement, "datetime", Behind)
    [settled] = settle_batch([usage(organization, started_at_ms=int(tomorrow.timestamp() * 1000) + 5)])

    assert settled.spending is not None
    assert settled.spending.at == tomorrow + timedelta(milliseconds=5)
    assert {one.day_nano for one in settled.spending.subjects} == {1_000}


@pytest.mark.parametrize(
    "poison",
    [
        {"cost_nano": -1},
        {"outcome": "unheard_of"},
        {"outcome": "free"},
        {"outcome": "failed"},
        {"organization_id": "org_unknown"},
        {"key_id": "k" * 41},
        {"cost_nano": 2**70},
        {"started_at_ms": 2**62},
        {"request_id": "req_\0"},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_stored_settles_nothing(
    lasting_organization: Organization, poison: dict[str, object]
) -> None:
    batch = [usage(lasting_organization), usage(lasting_organization, **poison)]

    with pytest.raises((DataError, IntegrityError, ValueError)):
        settle_batch(batch)

    assert not UsageRecord.objects.exists()
    assert not Wallet.objects.exists()


def test_what_an_upstream_says_cannot_spoil_its_own_bill(organization: Organization) -> None:
    settle_batch([usage(organization, upstream_id="x" * 999 + "\0", finish_reason="\0" + "y" * 99)])

    record = UsageRecord.objects.get()
    assert (record.upstream_id, record.finish_reason) == ("x" * 200, "y" * 40)


def test_parallel_settlements_of_overlapping_batches_count_each_request_once(
    lasting_organization: Organization,
) -> None:
    others = [
        lasting_organization,
        make_organization("bob@example.org"),
        make_organization("eve@example.org"),
    ]
    everything = [usage(others[number % 3]) for number in range(60)]

    def settle(start: int) -> list[Settlement]:
        try:
            return settle_batch(everything[start : start + 20])
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        told = [one for answer in pool.map(settle, range(0, 60, 5)) for one in answer]

    assert UsageRecord.objects.count() == 60
    assert list(Wallet.objects.values_list("balance_nano", flat=True)) == [-20_000] * 3
    assert set(Spend.objects.values_list("cost_nano", flat=True)) == {20_000}
    # What Valkey is told of one version is always the same, and in the end the truth.
    assert len({one.wallet for one in told}) == len(
        {(one.wallet.organization_id, one.wallet.version) for one in told}
    )
    for wallet in Wallet.objects.all():
        assert wallets.published(wallet) in {one.wallet for one in told}


@given(
    known=st.integers(0, 2**40),
    hold=st.integers(0, 2**40),
    checkpoint=st.none() | st.tuples(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 9)),
)
@settings(max_examples=100)
def test_an_interrupted_request_costs_its_last_estimate_within_its_hold(
    known: int, hold: int, checkpoint: tuple[int, int, int] | None
) -> None:
    intent = Intent(
        "req_1", "org_1", "key_1", "m", "p", "c", "1", 5, is_stream=True, hold_nano=hold, cost_nano=known
    )
    last = Checkpoint("req_1", *checkpoint) if checkpoint else None

    cut = settlement.interrupted(intent, last, at_ms=9)

    assert cut.cost_nano == min(last.hold_nano if last else hold, last.cost_nano if last else known)
    assert cut.cost_picos == cut.cost_nano * 1000
    assert (cut.outcome, cut.is_estimated, cut.output_tokens) == (
        "interrupted",
        True,
        last.output_tokens if last else 0,
    )


def test_a_month_without_a_partition_of_its_own_loses_nothing(organization: Organization) -> None:
    far = datetime(2031, 5, 5, tzinfo=UTC)
    settle_batch([usage(organization, started_at_ms=int(far.timestamp() * 1000))])

    assert UsageRecord.objects.get().started_at == far
    # The month stays in the default partition, and preparing goes on with the others.
    assert partitions.prepare(today=far.date(), months_ahead=2) == [
        f"{partitions.TABLE}_20310{n}" for n in (6, 7)
    ]
    assert partitions.prepare(today=far.date(), months_ahead=2) == []


def test_partitions_reach_over_the_end_of_the_year(organization: Organization) -> None:
    names = partitions.prepare(today=datetime(2032, 11, 30, tzinfo=UTC).date(), months_ahead=3)

    assert [name[-6:] for name in names] == ["203211", "203212", "203301", "203302"]
