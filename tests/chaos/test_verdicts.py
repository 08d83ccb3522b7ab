"""The campaign's judges find what they are there to find."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.calls import Call, Customer
from tests.chaos.invariants import Evidence, Span, breaches, served_too_early
from tests.chaos.matching import Entry, Record
from tests.chaos.money import Known, Leases, wallet_breaches

COST = 10 * 2_500 + 3 * 10_000


def call(nonce: str = "n1", **changes: Any) -> Call:
    """Return a call that ada's client saw answered in full."""
    seen: dict[str, Any] = {
        "organization": "ada", "is_poor": False, "gateway": 0, "is_stream": True, "sent_at": 100.0,
        "ended_at": 101.0, "status": 200, "request_id": f"req_{nonce}", "is_complete": True,
    }  # fmt: skip
    return Call(**{"nonce": nonce, **seen, **changes})


def broken(nonce: str = "n1", **changes: Any) -> Call:
    """Return a call whose connection broke before anything came."""
    return call(nonce, status=0, request_id="", is_complete=False, **changes)


def entry(nonce: str = "n1", **changes: Any) -> Entry:
    """Return what a sandbox notes of a call: ten tokens in, three out."""
    noted: dict[str, Any] = {
        "answer_id": f"chatcmpl-{nonce}", "outcome": "finished", "billed": True, "prompt_tokens": 10,
        "completion_tokens": 3,
    }  # fmt: skip
    return Entry(**{"nonce": nonce, **noted, **changes})


def record(nonce: str = "n1", **changes: Any) -> Record:
    """Return the usage record of a completed call."""
    kept: dict[str, Any] = {
        "request_id": f"req_{nonce}", "organization_id": "ada", "outcome": "completed", "started_at": 100.0,
        "input_tokens": 10, "output_tokens": 3, "cost_nano": COST, "hold_nano": 90_000, "is_estimated": False,
        "upstream_id": f"chatcmpl-{nonce}",
    }  # fmt: skip
    return Record(**{**kept, **changes})


def interrupted(nonce: str = "n1", **changes: Any) -> Record:
    """Return the usage record of a call whose gateway died."""
    return record(nonce, **{"outcome": "interrupted", "is_estimated": True, "upstream_id": "", **changes})


def found(calls: list[Call], entries: list[Entry], records: list[Record], *killed: str) -> list[str]:
    return breaches(Evidence(calls, entries, records, frozenset(killed)))[1]


def test_a_round_in_which_all_is_well_has_no_breach() -> None:
    calls = [call(), call("n2", status=503, error="service_unavailable"), broken("n3"), broken("n4")]
    entries = [entry(), entry("n3", outcome="aborted")]
    records = [record(), interrupted("x", started_at=100.2)]

    assert found(calls, entries, records, "gateway 1") == []


def test_a_billed_call_without_a_record_is_missing() -> None:
    assert "I5 missing: n1 was billed upstream" in found([call()], [entry()], [])


def test_an_interrupted_record_stands_for_one_call_only() -> None:
    calls, entries = [broken(), broken("n2")], [entry(), entry("n2")]

    breaches_of_one = found(calls, entries, [interrupted("x")], "gateway 1")

    assert len(breaches_of_one) == 1
    assert breaches_of_one[0].startswith("I5 missing")
    assert found(calls, entries, [interrupted("x"), interrupted("y")], "gateway 1") == []


def test_an_interrupted_record_stands_for_a_call_of_its_customer_and_time_only() -> None:
    for strange in (interrupted("x", organization_id="ben"), interrupted("x", started_at=109.0)):
        names = [
            breach.split(":", maxsplit=1)[0]
            for breach in found([broken()], [entry()], [strange], "gateway 1")
        ]
        assert sorted(names) == ["I5 missing", "I6 req_x (interrupted) has no call"]


def test_no_other_record_stands_for_a_call_whose_client_saw_its_id() -> None:
    cut_off = call(is_complete=False)

    names = found([cut_off], [entry()], [interrupted("x")], "gateway 1")

    assert names == ["I5 missing: n1 was billed upstream", "I6 req_x (interrupted) has no call"]


def test_two_records_of_one_call_are_a_duplicate() -> None:
    second = record(request_id="req_other")

    assert found([call()], [entry()], [record(), second]) == [
        "I5 duplicate: req_n1 and req_other are both n1"
    ]
    assert "I5 duplicate: req_n1 is recorded twice" in found([call()], [entry()], [record(), record()])


@pytest.mark.parametrize(
    ("wrong", "breach"),
    [
        (record(cost_nano=COST + 1), f"I5 req_n1 costs {COST + 1} nano-USD instead of {COST}"),
        (record(output_tokens=4), "I5 req_n1 has 10 + 4 tokens, upstream [(10, 3)]"),
        (record(is_estimated=True), "I5 req_n1 was estimated although its upstream reported its usage"),
        (record(upstream_id="chatcmpl-x"), "I6 req_n1 names an answer that no upstream gave: chatcmpl-x"),
        (record(organization_id="ben"), "I5 req_n1 is on the account of ben, not its caller's"),
        (interrupted(), "I6 req_n1 is interrupted, but no gateway was killed"),
        (interrupted(cost_nano=90_001), "I4 req_n1 was estimated at 90001 nano-USD, but only 90000 held"),
        (
            record(outcome="upstream_died"),
            "I6 req_n1 is recorded as broken off by its upstream, but none did so",
        ),
    ],
)
def test_a_record_that_says_what_did_not_happen_is_found(wrong: Record, breach: str) -> None:
    assert breach in found([call()], [entry()], [wrong])


@pytest.mark.parametrize(
    ("wrong", "breach"),
    [
        (call(status=401, error="invalid_api_key"), "answers: n1 (req_n1) got 401 invalid_api_key"),
        (call(status=402), "answers: n1 (req_n1) got 402 on a full wallet"),
        (call(status=500, error="internal_error"), "answers: n1 (req_n1) got 500 internal_error"),
        (call(error="service_unavailable"), "answers: n1 (req_n1) got service_unavailable inside its stream"),
        (call(is_complete=False), "answers: n1 (req_n1) broke off, but its gateway was not killed"),
        (call(is_complete=False, has_waited_in_vain=True), "answers: n1 (req_n1) was kept waiting"),
    ],
)
def test_an_answer_that_blames_or_strands_the_caller_is_found(wrong: Call, breach: str) -> None:
    assert breach in found([wrong], [], [], "gateway 2", "valkey")


def test_a_refused_call_that_was_charged_is_found() -> None:
    charged = record(upstream_id="", outcome="free")

    assert found([call(status=503)], [], [charged]) == [f"I6 req_n1 got 503 and was charged {COST} nano-USD"]


def test_a_balance_that_is_not_credit_minus_usage_or_below_zero_is_found() -> None:
    ada = Customer("ada", "key", credit_nano=COST)

    assert list(wallet_breaches([ada], [record()], {"ada": 0})) == []
    assert [breach[:2] for breach in wallet_breaches([ada], [record()], {"ada": 1})] == ["I3"]
    twice = [record(), record("n2")]
    assert [breach[:2] for breach in wallet_breaches([ada], twice, {"ada": -COST})] == ["I4"]
    beyond = [record(), record("n2", hold_nano=0)]
    assert list(wallet_breaches([ada], beyond, {"ada": -COST})) == []


def holds_found(leases: Leases, known: Known, *, now: float = 0.0) -> list[str]:
    breaches_found = leases.breaches(known, 500, calls=[call("done")], records={"req_kept"}, now=now)
    return [breach[:2] for breach in breaches_found]


def test_a_hold_that_outlives_its_request_or_its_lease_is_found() -> None:
    leases = Leases()

    assert holds_found(leases, Known(500, 0, {})) == []
    assert holds_found(leases, Known(500, 7, {"req_lost": 7})) == []
    assert holds_found(leases, Known(500, 7, {"req_lost": 7}), now=71.0) == ["I7"]
    assert holds_found(leases, Known(500, 7, {"req_done": 7})) == ["I7"]
    assert holds_found(leases, Known(500, 7, {"req_kept": 7})) == ["I7"]
    assert holds_found(leases, Known(500, 8, {"req_lost": 7})) == ["I7"]
    assert holds_found(leases, Known(400, 0, {})) == ["I8"]
    assert holds_found(leases, Known(None, 0, {})) == ["I8"]


def test_a_call_that_is_served_while_holds_are_unknown_is_found() -> None:
    calls = [
        call("before", sent_at=99.9, ended_at=100.3),
        call("refused", sent_at=100.1, ended_at=100.2, status=503),
        call("early", sent_at=100.1, ended_at=100.6),
        call("later", sent_at=100.1, ended_at=101.6),
    ]

    (found,) = served_too_early(calls, forgotten_at=100.0, grace_s=1.5, known=[Span(98.0, 99.9)])

    assert found.startswith("I4 early (req_early) was served 0.60 s after")


def test_whoever_is_served_by_a_store_that_knows_all_holds_need_not_wait() -> None:
    calls = [call("before", sent_at=100.1, ended_at=100.4), call("within", sent_at=100.3, ended_at=100.6)]

    (found,) = served_too_early(calls, forgotten_at=100.0, grace_s=1.5, known=[Span(100.5, 101.0)])

    assert found.startswith("I4 before")
