"""What must hold after every round, each breach in one line that begins with its invariant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.chaos.calls import Call
from tests.chaos.faults import FORGETTING
from tests.chaos.matching import Entry, Matched, Record, match

# gpt-4o: $2.50 and $10.00 per million tokens.
_INPUT_NANO, _OUTPUT_NANO = 2_500, 10_000
_ALLOWED = {200, 402, 429, 503}
_GATEWAYS = ("gateway 1", "gateway 2")


class Span(NamedTuple):
    """A time from start to end, in seconds of Unix."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """One round: what the clients saw, what the sandboxes produced, what was recorded, and who was killed."""

    calls: Sequence[Call]
    entries: Sequence[Entry]
    records: Sequence[Record]
    killed: frozenset[str]


def breaches(evidence: Evidence) -> tuple[Matched, list[str]]:
    """Return whose record is whose and everything that is wrong."""
    matched = match(evidence.calls, evidence.entries, evidence.records)
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.entries:
        entries[entry.nonce].append(entry)
    found = [*matched.breaches, *_strange_records(evidence)]
    for call in evidence.calls:
        found += _wrong_answer(call, evidence.killed)
        record = matched.by_nonce.get(call.nonce)
        found += _wrong_record(call, record)
        if record is not None:
            found += _wrong_cost(record, entries[call.nonce])
    return matched, found


def served_too_early(
    calls: Sequence[Call], *, forgotten_at: float, grace_s: float, known: Sequence[Span]
) -> Iterator[str]:
    """Find calls that were served after Valkey had forgotten all holds, and before they could be known again.

    ``known`` are the times in which a store decided that knew all of them: no call needs to wait then.
    """
    for call in calls:
        if any(call.sent_at <= span.end and span.start <= call.ended_at for span in known):
            continue
        if call.status == 200 and call.sent_at > forgotten_at and call.ended_at < forgotten_at + grace_s:
            after_s = call.ended_at - forgotten_at
            yield f"I4 {call.nonce} ({call.request_id}) was served {after_s:.2f} s after all holds were forgotten"


def _strange_records(evidence: Evidence) -> Iterator[str]:
    seen: set[str] = set()
    for record in evidence.records:
        if record.request_id in seen:
            yield f"I5 duplicate: {record.request_id} is recorded twice"
        seen.add(record.request_id)
        if record.outcome == "interrupted" and not evidence.killed & {*_GATEWAYS}:
            yield f"I6 {record.request_id} is interrupted, but no gateway was killed"


def _wrong_answer(call: Call, killed: frozenset[str]) -> Iterator[str]:
    """Infrastructure that fails is never the caller's fault, and never keeps it waiting."""
    if call.status and call.status not in _ALLOWED:
        yield f"answers: {call.nonce} ({call.request_id}) got {call.status} {call.error}"
    if call.status == 402 and not call.is_poor:
        yield f"answers: {call.nonce} ({call.request_id}) got 402 on a full wallet"
    if call.status == 200 and call.error and not _may_end_for_lack_of_valkey(call, killed):
        yield f"answers: {call.nonce} ({call.request_id}) got {call.error} inside its stream"
    if call.is_broken and _GATEWAYS[call.gateway] not in killed:
        yield f"answers: {call.nonce} ({call.request_id}) broke off, but its gateway was not killed"
    if call.was_refused and _GATEWAYS[call.gateway] not in killed:
        yield f"answers: {call.nonce} was refused a connection, but its gateway was not killed"
    if call.has_waited_in_vain:
        yield f"answers: {call.nonce} ({call.request_id}) was kept waiting"


def _may_end_for_lack_of_valkey(call: Call, killed: frozenset[str]) -> bool:
    """A stream without a maximum on a nearly empty wallet needs a larger hold while it runs."""
    return (
        bool(FORGETTING & killed) and call.is_poor and call.is_stream and call.error == "service_unavailable"
    )


def _wrong_record(call: Call, record: Record | None) -> Iterator[str]:
    if (
        call.status == 200
        and call.is_complete
        and (record is None or record.outcome not in {"completed", "cut"})
    ):
        yield f"I5 {call.request_id} was answered in full, but is {record.outcome if record else 'not recorded'}"
    if record is not None and record.outcome == "upstream_died" and not call.error:
        yield f"I6 {call.request_id} is recorded as broken off by its upstream, but none did so"
    if call.status >= 400 and record is not None and record.cost_nano:
        yield f"I6 {call.request_id} got {call.status} and was charged {record.cost_nano} nano-USD"


def _wrong_cost(record: Record, entries: Sequence[Entry]) -> Iterator[str]:
    if record.is_estimated:
        if record.outcome == "completed":
            yield f"I5 {record.request_id} was estimated although its upstream reported its usage"
        if record.cost_nano > record.hold_nano:
            yield f"I4 {record.request_id} was estimated at {record.cost_nano} nano-USD, but only {record.hold_nano} held"
        return
    reports = [
        (entry.prompt_tokens, entry.completion_tokens)
        for entry in entries
        if entry.answer_id == record.upstream_id
    ]
    if record.outcome in {"free", "failed"}:
        return
    if reports != [(record.input_tokens, record.output_tokens)]:
        yield f"I5 {record.request_id} has {record.input_tokens} + {record.output_tokens} tokens, upstream {reports}"
    cost = record.input_tokens * _INPUT_NANO + record.output_tokens * _OUTPUT_NANO
    if record.cost_nano != cost:
        yield f"I5 {record.request_id} costs {record.cost_nano} nano-USD instead of {cost}"
