"""Whose usage record is whose: every call that an upstream billed has exactly one, and every record has its call.

A record is known by the request id that its client saw, or by the id of the upstream's answer in it. A record of an
interrupted request may have neither: it is some call of its organization that was under way when it started, and no
two of them are the same call.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tests.chaos.calls import Call

# Both clocks are the machine's; records count in whole milliseconds.
_TICK_S = 0.01
# A gateway may read a request after its client has hung up.
_LATE_S = 2.0
# How a request may end without an id of an upstream's answer.
_WITHOUT_ANSWER = {"interrupted", "free", "client_left", "failed"}


class Entry(msgspec.Struct):
    """One request as the sandbox saw it; ``billed`` once it has produced a token."""

    nonce: str
    answer_id: str
    outcome: str
    billed: bool
    prompt_tokens: int
    completion_tokens: int


class Record(msgspec.Struct):
    """One usage record."""

    request_id: str
    organization_id: str
    outcome: str
    started_at: float
    input_tokens: int
    output_tokens: int
    cost_nano: int
    hold_nano: int
    is_estimated: bool
    upstream_id: str


@dataclass(slots=True)
class Matched:
    """Which record belongs to which call, and everything that does not fit."""

    by_nonce: dict[str, Record] = field(default_factory=dict)
    guessed: int = 0
    breaches: list[str] = field(default_factory=list)

    def claim(self, call: Call, record: Record) -> None:
        """Note that a record is the one of a call."""
        if call.organization != record.organization_id:
            self.breaches.append(
                f"I5 {record.request_id} is on the account of {record.organization_id}, not its caller's"
            )
        first = self.by_nonce.setdefault(call.nonce, record)
        if first is not record:
            self.breaches.append(
                f"I5 duplicate: {first.request_id} and {record.request_id} are both {call.nonce}"
            )


def match(calls: Sequence[Call], entries: Sequence[Entry], records: Sequence[Record]) -> Matched:
    """Find the call of each record."""
    matched = Matched()
    by_request = {call.request_id: call for call in calls if call.request_id}
    by_answer = {entry.answer_id: entry.nonce for entry in entries if entry.answer_id}
    by_nonce = {call.nonce: call for call in calls}
    unknown: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        seen = by_request.get(record.request_id)
        answered = by_nonce.get(by_answer.get(record.upstream_id, ""))
        if record.upstream_id and answered is None:
            matched.breaches.append(
                f"I6 {record.request_id} names an answer that no upstream gave: {record.upstream_id}"
            )
        elif seen is not None and answered is not None and seen is not answered:
            matched.breaches.append(
                f"I5 {record.request_id} is {seen.nonce} to its client, {answered.nonce} upstream"
            )
        elif (call := seen or answered) is not None:
            matched.claim(call, record)
        else:
            unknown[record.organization_id].append(record)
    _match_by_time(matched, calls, {entry.nonce for entry in entries if entry.billed}, unknown)
    return matched


def _match_by_time(
    matched: Matched, calls: Sequence[Call], billed: set[str], unknown: dict[str, list[Record]]
) -> None:
    left: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.nonce not in matched.by_nonce:
            left[call.organization].append(call)
    for organization in sorted(left.keys() | unknown.keys()):
        records = sorted(unknown.get(organization, ()), key=lambda record: record.started_at)
        matched.guessed += len(records)
        matched.breaches += _left_over(left[organization], billed, records)


def _left_over(calls: Sequence[Call], billed: set[str], records: Sequence[Record]) -> Iterator[str]:
    """Yield what finds no partner on either side.

    If one assignment leaves no billed call out and another leaves no record out, then one does both (Mendelsohn and
    Dulmage), so the two are looked for one by one.
    """
    # A client that saw a request id knows which record is its own.
    unsure = [call for call in calls if not call.request_id and not call.was_refused]
    covered = {call.nonce for call, _ in _assign((call for call in unsure if call.nonce in billed), records)}
    for call in calls:
        if call.nonce in billed and call.nonce not in covered:
            yield f"I5 missing: {call.nonce} was billed upstream"
    explained = {record.request_id for _, record in _assign(unsure, records)}
    for record in records:
        if record.request_id not in explained or record.outcome not in _WITHOUT_ANSWER:
            yield f"I6 {record.request_id} ({record.outcome}) has no call"


def _assign(calls: Iterable[Call], records: Iterable[Record]) -> Iterator[tuple[Call, Record]]:
    """Yield a largest assignment of records, in the order of their start, to calls under way at that moment."""
    waiting = sorted(calls, key=lambda call: call.sent_at, reverse=True)
    running: list[tuple[float, str, Call]] = []
    for record in records:
        while waiting and waiting[-1].sent_at - _TICK_S <= record.started_at:
            call = waiting.pop()
            until = call.ended_at + (_LATE_S if call.has_hung_up else _TICK_S)
            heapq.heappush(running, (until, call.nonce, call))
        while running and running[0][0] < record.started_at:
            heapq.heappop(running)
        if running:
            yield heapq.heappop(running)[2], record
