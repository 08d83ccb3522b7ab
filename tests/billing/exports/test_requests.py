from __future__ import annotations

import csv
import gzip
import io
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import connection
from django.db.models import Sum

from accounts import keys
from accounts.models import Organization
from billing import partitions, posting
from billing.exports import jobs, request_columns, requests, runs
from billing.models import Journal, JournalKind, Posting, UsageRecord
from billing.selection import Ending, Selection
from billing.settlement import settle_batch
from fastanchor.lib.money import parse_nanos
from tests.billing.cast import STARTED_AT_MS, make_organization, usage
from tests.billing.many import fill

STARTED = datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC)
EVERYTHING = Selection(start=STARTED - timedelta(days=1), end=STARTED + timedelta(days=9))


def export(
    organization: Organization,
    selection: Selection = EVERYTHING,
    file_format: str = "csv",
    part_s: float = 60,
) -> str:
    """Write an export to its end, and return its text."""
    asked = jobs.ask(
        organization=organization,
        by=organization.members.get(),
        kind="requests",
        file_format=file_format,
        wanted=selection.as_json(),
    )
    while runs.run(asked.pk, part_s=part_s):
        pass
    asked.refresh_from_db()
    assert asked.state == "done"
    opened = [storages[jobs.STORAGE].open(part["name"]) for part in asked.parts]
    return gzip.decompress(b"".join(file.read() for file in opened)).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def settle(organization: Organization, count: int, seed: int, **changes: Any) -> None:
    drawn = random.Random(seed)
    partitions.prepare()
    settle_batch(
        [
            usage(
                organization,
                started_at_ms=STARTED_AT_MS + drawn.randrange(3 * 86_400_000),
                cost_nano=(nano := drawn.randrange(10**9)),
                cost_picos=nano * 1000,
                model_id=drawn.choice(["gpt-4o", "o3"]),
                **changes,
            )
            for _ in range(count)
        ]
    )


def test_an_export_comes_to_what_the_ledger_has_for_its_time(
    lasting_organization: Organization, seed: int
) -> None:
    settle(lasting_organization, 200, seed)
    settle(make_organization("zoe@example.org"), 20, seed)
    posting.post_usage()

    found = rows_of(export(lasting_organization, part_s=0))

    posted = Posting.objects.filter(
        journal__organization=lasting_organization,
        journal__kind=JournalKind.USAGE,
        account__organization=lasting_organization,
    ).aggregate(total=Sum("amount_nano"))["total"]
    assert Journal.objects.filter(kind=JournalKind.USAGE).exists()
    assert len({row["request_id"] for row in found}) == len(found) == 200
    assert sum(int(row["cost_nano_usd"]) for row in found) == posted
    assert sum(parse_nanos(row["cost_usd"]) for row in found) == posted
    assert [row["started_at"] for row in found] == sorted(row["started_at"] for row in found)


def test_both_formats_say_the_same(lasting_organization: Organization) -> None:
    settle(lasting_organization, 5, 1, is_stream=False)

    plain = rows_of(export(lasting_organization))
    lines = [json.loads(line) for line in export(lasting_organization, file_format="jsonl").splitlines()]

    assert [list(line) for line in lines] == [list(request_columns.NAMES)] * 5
    assert plain == [{name: in_csv(value) for name, value in line.items()} for line in lines]


def in_csv(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def test_only_what_is_selected_is_written(lasting_organization: Organization) -> None:
    settle(lasting_organization, 30, 3)
    partitions.prepare()
    failed = usage(lasting_organization, status=502, outcome="free", cost_nano=0, cost_picos=0)
    settle_batch([failed])
    dear = Selection(EVERYTHING.start, EVERYTHING.end, model_id="o3", least_nano=500_000_000)

    found = rows_of(export(lasting_organization, dear))

    kept = UsageRecord.objects.filter(model_id="o3", cost_nano__gte=500_000_000)
    assert 0 < len(found) < 30
    assert {row["request_id"] for row in found} == set(kept.values_list("request_id", flat=True))
    failures = Selection(EVERYTHING.start, EVERYTHING.end, ending=Ending.FAILED)
    assert [row["request_id"] for row in rows_of(export(lasting_organization, failures))] == [
        failed.request_id
    ]


def test_what_is_settled_after_the_wish_is_not_in_it(lasting_organization: Organization) -> None:
    settle(lasting_organization, 3, 1)
    asked = jobs.ask(
        organization=lasting_organization,
        by=lasting_organization.members.get(),
        kind="requests",
        file_format="csv",
        wanted=EVERYTHING.as_json(),
    )
    settle(lasting_organization, 3, 2)

    runs.run(asked.pk)

    asked.refresh_from_db()
    assert (asked.rows_done, asked.rows_about) == (3, 3)


def test_a_spreadsheet_runs_no_formula_of_a_key_s_name(lasting_organization: Organization) -> None:
    key, _ = keys.create(organization=lasting_organization, name="=HYPERLINK(1)")
    settle(lasting_organization, 1, 1, key_id=key.pk)

    [row] = rows_of(export(lasting_organization))

    assert row["key_name"] == "'=HYPERLINK(1)"
    assert json.loads(export(lasting_organization, file_format="jsonl"))["key_name"] == "=HYPERLINK(1)"


def test_no_piece_is_doubled_or_lost_where_many_start_together(
    lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(requests, "ROWS_A_PIECE", 3)
    partitions.prepare()
    settle_batch([usage(lasting_organization) for _ in range(40)])

    found = rows_of(export(lasting_organization, part_s=0))

    assert len({row["request_id"] for row in found}) == len(found) == 40


def test_rows_wait_at_the_server_and_only_a_thousand_are_here_at_once(
    lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lasting_organization, 3_500, newest=STARTED.replace(hour=12))
    seen = []

    def watched(rows: list[Any]) -> bytes:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            seen.append((len(rows), cursor.fetchone()[0]))
        return b""

    monkeypatch.setattr(requests, "as_csv", watched)

    export(lasting_organization)

    # The names of the columns, the rows, and the end of each day.
    rows = [(1, 0), (1_000, 1), (1_000, 1), (1_000, 1), (500, 1)]
    assert [each for each in seen if each[0]] == rows
