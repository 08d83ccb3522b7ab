"""Providers' bills: taken whole or not at all, once, replaced only by who has seen the difference; and the capture rate."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from accounts.audit_entry import AuditEntry
from accounts.models import Organization
from billing import bill_lines, business, capture, provider_bills, usage_mirror
from billing.bill_lines import BillLine, NotABill
from billing.ledger_days import Step
from billing.models import BillFile, ItemState, ProviderBill, ReconciliationItem, ReconciliationRun, ServedDay
from billing.provider_bills import Replaced, Upload
from billing.settlement import settle_batch
from tests.billing.cast import usage
from tests.staff.histories import FIRST, OTHER

pytestmark = pytest.mark.django_db
TODAY = date(2026, 12, 1)
DAY, EVE = date(2026, 11, 30), date(2026, 11, 29)
HEAD = "day,model,amount_usd\n"
USD = 10**9


def upload(text: str, **changes: Any) -> BillFile:
    given: dict[str, Any] = {
        "provider_id": "openai",
        "name": "november.csv",
        "content": text.encode(),
        "reason": "Invoice",
        "actor": "user:1",
    }
    return provider_bills.upload(Upload(**(given | changes)), today=TODAY)


def served(nano: int, *, day: date = DAY, provider: str = "openai") -> None:
    ServedDay.objects.create(day=day, provider_id=provider, model_id="gpt-4o", requests=3, cost_nano=nano)


def current() -> list[tuple[date, str, int]]:
    rows = ProviderBill.objects.filter(is_current=True).order_by("day", "model")
    return list(rows.values_list("day", "model", "amount_nano"))


def test_a_bill_is_read_to_the_nano_in_any_order_of_columns() -> None:
    text = "\ufeffamount_usd,note,model,day\r\n0.000000001,x,gpt-4o,2026-11-30\r\n12,,,2026-11-29\r\n"

    bill = bill_lines.read(text.encode(), today=TODAY)

    assert bill.lines == [BillLine(DAY, "gpt-4o", 1), BillLine(EVE, "", 12 * USD)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "The first line names no column day, model, amount_usd."),
        ("day,model\n2026-11-30,x\n", "The first line names no column amount_usd."),
        (HEAD, "The file has no line but the first."),
        (HEAD + "2026-11-31,x,1\n", 'Line 2: "2026-11-31" is no day such as 2026-11-30.'),
        (HEAD + "2026-11-30,x,1\n2026-12-01,x,1\n", "Line 3: 2026-12-01 is not over yet (UTC)."),
        (HEAD + "1999-12-31,x,1\n", "Line 2: 1999-12-31 is too long ago."),
        (HEAD + "2026-11-30,x,-1\n", 'Line 2: "-1" is no amount in dollars'),
        (HEAD + "2026-11-30,x,1.0000000001\n", 'Line 2: "1.0000000001" is no amount'),
        (HEAD + "2026-11-30,x\n", 'Line 2: "" is no amount'),
        (HEAD + "2026-11-30,x,1\n2026-11-30,x,2\n", "Line 3: 2026-11-30 x stands in line 2 already."),
        (HEAD + "2026-11-30,x,1\n2026-11-30,,2\n", "Line 3: 2026-11-30 is billed as a whole here"),
        (HEAD + "2026-11-30,x\x00y,1\n", "Line 2: the model's name"),
        (HEAD + '2026-11-30,"x,1\n', "Near line 1 the file is no CSV"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(text: str, fault: str) -> None:
    with pytest.raises(NotABill) as told:
        upload(text)

    assert any(each.startswith(fault) for each in told.value.faults), told.value.faults
    assert not BillFile.objects.exists()


def test_files_of_any_size_and_sort_are_refused_with_a_few_words() -> None:
    faulty = HEAD + "x,x,x\n" * 1_000
    for content in (b"\xff\xfe", b"x" * (bill_lines.MOST_BYTES + 1)):
        with pytest.raises(NotABill):
            bill_lines.read(content, today=TODAY)

    with pytest.raises(NotABill) as told:
        bill_lines.read(faulty.encode(), today=TODAY)

    assert len(told.value.faults) == bill_lines.MOST_FAULTS


def test_the_same_file_counts_once(organization: Organization) -> None:
    first = upload(HEAD + "2026-11-30,gpt-4o,1\n")

    with pytest.raises(provider_bills.UploadedBefore) as told:
        upload(HEAD + "2026-11-30,gpt-4o,1\n", name="again.csv")

    assert told.value.file == first
    assert current() == [(DAY, "gpt-4o", USD)]
    assert first.uploaded_by == "user:1"


def test_a_day_that_is_billed_waits_until_the_difference_was_seen_and_is_then_replaced_whole() -> None:
    upload(HEAD + "2026-11-29,gpt-4o,1\n2026-11-30,gpt-4o,2\n2026-11-30,gpt-5.4,3\n")

    later = upload(HEAD + "2026-11-30,,7\n")

    assert later.state == "waiting"
    replaced = [Replaced(DAY, 5 * USD, 7 * USD)]
    assert provider_bills.replaced_by(later) == replaced
    assert replaced[0].difference_nano == 2 * USD
    assert len(current()) == 3
    with pytest.raises(provider_bills.Changed):
        provider_bills.confirm(later, shown=[], actor="user:2")
    provider_bills.confirm(later, shown=replaced, actor="user:2")
    assert current() == [(EVE, "gpt-4o", USD), (DAY, "", 7 * USD)]
    with pytest.raises(provider_bills.NotWaiting):
        provider_bills.confirm(later, shown=[], actor="user:2")
    with pytest.raises(provider_bills.NotWaiting):
        provider_bills.discard(later)
    entry = AuditEntry.objects.get(what="bill.replaced")
    assert entry.before == {"2026-11-30": "5.000000000"}
    assert (entry.after["usd"], entry.reason) == ("7.000000000", "Invoice")


def test_a_discarded_file_is_forgotten_and_may_come_again() -> None:
    upload(HEAD + "2026-11-30,,1\n")
    later = upload(HEAD + "2026-11-30,,2\n")

    provider_bills.discard(later)

    assert upload(HEAD + "2026-11-30,,2\n").state == "waiting"
    assert current() == [(DAY, "", USD)]
    assert [entry.what for entry in AuditEntry.objects.order_by("pk")] == [
        "bill.uploaded", "bill.uploaded", "bill.discarded", "bill.uploaded",
    ]  # fmt: skip


def test_another_providers_day_is_its_own() -> None:
    upload(HEAD + "2026-11-30,,1\n")

    assert upload(HEAD + "2026-11-30,,1\n", provider_id="anthropic").state == "in_force"


@pytest.mark.parametrize(
    ("charged", "is_within"),
    [(9_950, True), (9_949, False), (10_050, True), (10_051, False), (10_000, True), (0, False)],
)
def test_the_capture_rate_is_within_its_bounds_exactly(charged: int, *, is_within: bool) -> None:
    if charged:
        served(charged)
    upload(HEAD + "2026-11-30,,0.000010000\n")

    [rate] = capture.rates(first=DAY, last=DAY)

    assert rate.is_within is is_within
    assert rate.percent == f"{charged // 100}.{charged % 100:02d} %"
    assert ReconciliationItem.objects.filter(state=ItemState.OPEN).exists() is not is_within


def test_a_rate_outside_opens_one_item_which_closes_by_itself_once_it_is_right() -> None:
    served(90)
    upload(HEAD + "2026-11-30,,0.000000100\n")
    capture.compare("openai", [DAY])
    capture.compare_lately(today=TODAY)

    [item] = ReconciliationItem.objects.all()
    assert (item.kind, item.subject, item.state) == ("capture_rate", "openai 2026-11-30", "open")
    assert (item.ours, item.theirs) == ("0.000000090 USD charged", "0.000000100 USD billed")

    later = upload(HEAD + "2026-11-30,,0.00000009\n")
    provider_bills.confirm(later, shown=provider_bills.replaced_by(later), actor="user:1")
    item.refresh_from_db()
    assert (item.state, item.closed_by) == ("explained", "system")


def test_what_staff_has_explained_is_not_opened_again_while_nothing_changes() -> None:
    served(90)
    upload(HEAD + "2026-11-30,,0.000000100\n")
    ReconciliationItem.objects.update(state=ItemState.EXPLAINED, closed_by="user:1")

    capture.compare_lately(today=TODAY)

    assert ReconciliationItem.objects.count() == 1


def test_the_nightly_run_looks_at_bills_again_and_lists_what_it_found() -> None:
    upload(HEAD + "2026-11-30,,0.000000100\n")

    usage_mirror.reconcile_usage(today=TODAY)

    run = ReconciliationRun.objects.get()
    assert [item.subject for item in run.findings.all()] == ["openai 2026-11-30"]


def test_who_served_counts_not_whose_model_it_is_and_own_keys_do_not(organization: Organization) -> None:
    at_ms = int(FIRST.timestamp() * 1_000)
    settle_batch(
        [
            usage(organization, started_at_ms=at_ms, attempts=2, attempts_made=OTHER),
            usage(organization, started_at_ms=at_ms, is_own_key=True, cost_nano=0, cost_picos=0),
            usage(organization, started_at_ms=at_ms),
        ]
    )

    found = {rate.provider_id: rate for rate in capture.rates(first=FIRST.date(), last=FIRST.date())}

    assert {name: (rate.requests, rate.charged_nano) for name, rate in found.items()} == {
        "azure": (1, 1_000),
        "openai": (1, 1_000),
    }


def test_cost_is_what_was_billed_and_list_prices_where_no_bill_is_here() -> None:
    served(1_000)
    served(500, provider="anthropic")
    served(70, day=EVE)
    upload(HEAD + "2026-11-30,,0.000001100\n")

    eve, day = business.report(first=EVE, last=DAY, step=Step.DAY)

    assert (eve.cost.list_nano, eve.cost.nano, eve.cost.bills) == (70, 70, 0)
    assert (day.cost.list_nano, day.cost.nano, day.cost.bills) == (1_500, 1_600, 1)
    assert day.gross_nano == day.margin_nano == -1_600
