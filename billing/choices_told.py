"""What is told of how a request found its channel: to customers in plain words, to staff in full."""

from __future__ import annotations

from billing.attempts import Considered
from billing.models import UsageRecord
from billing.usage import attempts_of

_ORDINALS = ("first", "second", "third")
# The limits of ours that a channel may be at.
_LIMITS = frozenset({"requests", "tokens", "concurrency"})


def in_words(record: UsageRecord) -> list[str]:
    """Return what a customer may want to know: which ways were passed over, and that another was tried."""
    attempts = attempts_of(record)
    asked = list(dict.fromkeys(each.channel_id for each in attempts))
    passed = [
        each for each in considered_of(record) if each.state != "ready" and each.channel_id not in asked
    ]
    busy = sum(each.state in _LIMITS for each in passed)
    told = [_passed_over(busy, "busy"), _passed_over(len(passed) - busy, "not working at that moment")]
    if len(asked) > 1:
        further = " and a ".join(_ORDINALS[1 : len(asked)])
        end = "" if attempts[-1].has_served else ", which failed, too"
        told.append(f"The first way failed, so a {further} was tried{end}.")
    return [sentence for sentence in told if sentence]


def in_full(record: UsageRecord) -> list[str]:
    """Return a line for staff of every channel that was considered, in the order in which they were to be tried."""
    return [_line(each) for each in considered_of(record)]


def considered_of(record: UsageRecord) -> list[Considered]:
    """Return what there was to choose from; empty where the first channel served."""
    return [Considered(*each) for each in record.considered or ()]


def _passed_over(count: int, why: str) -> str:
    if not count:
        return ""
    return (
        f"One way to the model was passed over: {why}."
        if count == 1
        else f"{count} ways to the model were passed over: {why}."
    )


def _line(each: Considered) -> str:
    wait = f" for {each.wait_s} s" if each.wait_s else ""
    running = f", {each.running} running" if each.running else ""
    score = f"{each.score // 1_000}.{each.score % 1_000 // 10:02}"
    return f"{each.provider_id} {each.channel_id}: priority {each.priority}, score {score}, {each.state}{wait}{running}"
