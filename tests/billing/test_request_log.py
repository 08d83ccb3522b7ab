"""The log against an independent filter in Python, on random requests, page after page while new ones arrive."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import Organization
from billing import partitions, request_log
from billing.models import UsageRecord
from billing.request_log import Order, Page, Position
from billing.selection import Ending, Selection
from billing.settlement import settle_batch
from tests.billing.cast import STARTED_AT_MS, make_organization, usage
from tests.billing.many import fill

STARTED = datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC)
ENDINGS: list[tuple[str, int]] = [
    *[("completed", 200)] * 6,
    ("completed", 500),
    ("client_left", 200),
    ("upstream_died", 200),
    ("cut", 200),
    ("free", 200),
    ("free", 502),
    ("failed", 503),
    ("interrupted", 0),
]


def some(organization: Organization, drawn: random.Random, count: int) -> list[UsageRecord]:
    """Settle random requests, many of them in the same millisecond; returns them as they are stored."""
    partitions.prepare()
    made = []
    for _ in range(count):
        outcome, status = drawn.choice(ENDINGS)
        nano = 0 if outcome in {"free", "failed"} else drawn.choice([0, 1_000, 2_000, drawn.randrange(10**9)])
        made.append(
            usage(
                organization,
                started_at_ms=STARTED_AT_MS + drawn.randrange(40) * 60_000,
                outcome=outcome,
                status=status,
                cost_nano=nano,
                cost_picos=nano * 1000,
                key_id=drawn.choice(["key_a", "key_b"]),
                model_id=drawn.choice(["gpt-4o", "o3"]),
                is_stream=drawn.random() < 0.5,
            )
        )
    settle_batch(made)
    return list(UsageRecord.objects.filter(request_id__in=[each.request_id for each in made]))


def wish(drawn: random.Random) -> Selection:
    def maybe(value: Any) -> Any:
        return value if drawn.random() < 0.35 else None

    return Selection(
        start=maybe(STARTED + timedelta(minutes=drawn.randrange(30))),
        end=maybe(STARTED + timedelta(minutes=drawn.randrange(10, 45))),
        key_id=maybe("key_a") or "",
        model_id=maybe("o3") or "",
        ending=maybe(drawn.choice(list(Ending))),
        least_nano=maybe(drawn.choice([0, 1_000, 2_000, 10**8])),
        most_nano=maybe(drawn.choice([0, 1_500, 10**8])),
        is_stream=maybe(drawn.random() < 0.5),
    )


def is_wanted(record: UsageRecord, selection: Selection) -> bool:
    """Say in other words what a selection means."""
    failed = record.status >= 400 or record.outcome in ("free", "failed")
    endings = {"ok": record.outcome == "completed" and not failed, "failed": failed}
    unwanted = (
        selection.start and record.started_at < selection.start,
        selection.end and not record.started_at < selection.end,
        selection.key_id and record.key_id != selection.key_id,
        selection.model_id and record.model_id != selection.model_id,
        selection.ending and not endings.get(selection.ending, record.outcome == selection.ending),
        selection.least_nano is not None and record.cost_nano < selection.least_nano,
        selection.most_nano is not None and record.cost_nano > selection.most_nano,
        selection.is_stream is not None and record.is_stream is not selection.is_stream,
    )
    return not any(unwanted)


def in_order(records: list[UsageRecord], order: Order) -> list[str]:
    dearest = order == Order.DEAREST
    ordered = sorted(
        records,
        key=lambda one: (-one.cost_nano if dearest else 0, -one.started_at.timestamp(), one.request_id),
    )
    return [record.request_id for record in ordered]


def walk(organization: Organization, selection: Selection, order: Order, **options: Any) -> list[str]:
    """Return the ids of all pages, as the links for older ones lead to them."""
    seen: list[str] = []
    page = request_log.read(organization=organization, selection=selection, order=order, **options)
    for _ in range(1_000):
        seen += ids(page)
        if page.older is None:
            return seen
        page = request_log.read(
            organization=organization, selection=selection, order=order, position=page.older, **options
        )
    raise AssertionError("the pages have no end")


def ids(page: Page) -> list[str]:
    return [record.request_id for record in page.records]


@pytest.mark.parametrize("scanned", [7, 20_000])
def test_every_filter_finds_what_an_independent_one_finds(
    lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch, seed: int, scanned: int
) -> None:
    monkeypatch.setattr(request_log, "SCANNED", scanned)
    drawn = random.Random(seed)
    records = some(lasting_organization, drawn, 120)
    some(make_organization("zoe@example.org"), drawn, 30)

    for _ in range(30):
        selection, order = wish(drawn), drawn.choice(list(Order))
        monkeypatch.setattr(request_log, "RARE", drawn.choice([0, 5, 2_000]))
        wanted = [record for record in records if is_wanted(record, selection)]

        assert [record for record in records if selection.holds(record)] == wanted
        assert walk(lasting_organization, selection, order, rows=drawn.choice([3, 50])) == in_order(
            wanted, order
        ), selection
        total = request_log.total(organization=lasting_organization, selection=selection)
        assert total is not None
        assert (total.requests, total.cost_nano) == (len(wanted), sum(one.cost_nano for one in wanted))
        assert Selection.from_json(selection.as_json()) == selection


@pytest.mark.parametrize("order", Order)
def test_pages_lead_back_to_where_they_came_from(
    lasting_organization: Organization, seed: int, order: Order
) -> None:
    some(lasting_organization, random.Random(seed), 40)
    selection = Selection(key_id="key_a")

    def read(**place: Any) -> Page:
        return request_log.read(
            organization=lasting_organization, selection=selection, order=order, rows=5, **place
        )

    first = read()
    assert first.newer is None
    second = read(position=first.older)
    third = read(position=second.older)

    assert ids(read(position=third.newer, is_backward=True)) == ids(second)
    back = read(position=second.newer, is_backward=True)
    assert (ids(back), back.newer) == (ids(first), None)


def test_requests_that_arrive_meanwhile_neither_double_nor_hide_any(
    lasting_organization: Organization, seed: int
) -> None:
    drawn = random.Random(seed)
    before = some(lasting_organization, drawn, 40)
    seen, place = [], None
    while True:
        page = request_log.read(
            organization=lasting_organization, selection=Selection(), position=place, rows=7
        )
        seen += ids(page)
        if page.older is None:
            break
        place = page.older
        some(lasting_organization, drawn, 3)

    assert len(set(seen)) == len(seen)
    assert {record.request_id for record in before} <= set(seen)


def test_a_rare_find_is_searched_for_in_bounded_steps(
    lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "SCANNED", 100)
    fill(lasting_organization, 350, newest=STARTED)
    settle_batch([usage(lasting_organization, started_at_ms=STARTED_AT_MS - 3_600_000, is_stream=False)])
    selection = Selection(most_nano=1_000, is_stream=False)

    pages = [request_log.read(organization=lasting_organization, selection=selection)]
    while pages[-1].older:
        pages.append(
            request_log.read(organization=lasting_organization, selection=selection, position=pages[-1].older)
        )

    assert [page.is_cut for page in pages] == [True, True, True, False]
    assert pages[0].older is not None
    assert pages[0].older.started_at == STARTED - timedelta(seconds=100)
    assert pages[-1].records[-1].started_at == STARTED - timedelta(hours=1)


def test_sums_of_more_than_can_be_read_at_once_are_left_out(
    lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "SUMMED", 100)
    fill(lasting_organization, 101, newest=STARTED)

    assert request_log.total(organization=lasting_organization, selection=Selection()) is None


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(key_id="key_1", most_nano=5),
        Selection(model_id="model-1", is_stream=True),
        Selection(ending=Ending.CUT, key_id="key_1"),
        Selection(least_nano=996_000),
        Selection(start=STARTED - timedelta(minutes=9), end=STARTED, ending=Ending.OK),
    ],
)
def test_a_page_reads_indexes_and_never_the_whole_table(
    lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch, selection: Selection, order: Order
) -> None:
    monkeypatch.setattr(request_log, "SCANNED", 100)
    fill(lasting_organization, 5_000, newest=STARTED)
    plans = []

    def explained(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        with connection.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (COSTS OFF) {sql}", params)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(explained):
        page = request_log.read(organization=lasting_organization, selection=selection, order=order)
        request_log.read(
            organization=lasting_organization, selection=selection, order=order, position=page.older
        )

    partition = f"billing_usagerecord_{STARTED:%Y%m}"
    assert len(plans) >= 2
    for plan in plans:
        assert f"Seq Scan on {partition}" not in plan
        assert re.search(f"Index (Only )?Scan (using|on) {partition}", plan), plan


def test_a_position_is_read_as_it_was_written_and_nothing_else_is() -> None:
    position = Position(STARTED + timedelta(microseconds=7), "req_0a", 12)

    assert Position.parse(position.code) == position
    for wrong in ("", "1", "1-2", "x-1-req_a", "1-x-req_a", "1-2-req'a", "9" * 40 + "-1-req_a", "1--2-req_a"):
        with pytest.raises(request_log.NotAPosition):
            Position.parse(wrong)


def test_the_models_that_were_used_are_found(lasting_organization: Organization) -> None:
    fill(lasting_organization, 300, newest=STARTED)
    settle_batch([usage(make_organization("zoe@example.org"), model_id="z-1")])

    assert request_log.used_models(lasting_organization) == [f"model-{number}" for number in range(7)]
