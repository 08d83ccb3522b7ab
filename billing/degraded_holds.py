"""Holds decided by PostgreSQL, under the lock of the wallet: what ``lua/admit.lua`` decides, as far as money goes.

Requests and tokens a minute are the process's own matter then (``billing.local_limits``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing import admission, spending
from billing.holds import OWN, UNBOUNDED, Ask
from billing.models import DegradedHold, Wallet, WalletState
from billing.store import Answer
from fastanchor.lib.money import PICOS_PER_NANO
from fastanchor.lib.windows import Window

_CONCURRENCY, _MONEY = 4, 5
_RETRY_MS = 1_000
# One message for all that has to be known: each statement sees what was committed before it, and so the second what the
# lock of the first waited for, the last what the lock of the wallet waited for.
_LOOK = """
SELECT pg_advisory_xact_lock_shared(%(turn)s);
SELECT FROM billing_admission WHERE id = 1 AND period = %(period)s AND is_degraded AND is_open;
SELECT balance_nano, floor_nano, state FROM billing_wallet WHERE organization_id = %(organization)s FOR UPDATE;
SELECT coalesce(sum(amount_nano), 0), coalesce(sum(amount_nano) FILTER (WHERE key_id = %(key)s), 0),
       coalesce(sum(amount_nano) FILTER (WHERE member = %(member)s), 0),
       count(*) FILTER (WHERE is_running AND request_id <> ALL(%(ended)s))
FROM billing_degradedhold WHERE organization_id = %(organization)s AND request_id <> %(but)s
"""
# In conflict with itself where it is asked for again, because the first answer did not arrive.
_HOLD = """
INSERT INTO billing_degradedhold (request_id, organization_id, key_id, member, amount_nano, spool, is_running)
VALUES (%s, %s, %s, %s, %s, %s, true) ON CONFLICT (request_id) DO UPDATE SET amount_nano = EXCLUDED.amount_nano
"""
_RELEASE = """
DELETE FROM billing_degradedhold WHERE request_id = ANY(%s);
UPDATE billing_degradedhold SET is_running = false WHERE request_id = ANY(%s)
"""


class _Held(NamedTuple):
    """What may be spent of a wallet or held, and what is: in all, by a key, by a member; and how many requests run."""

    spendable: int
    wallet: int
    key: int
    member: int
    running: int


class _Left(NamedTuple):
    """What is left to hold, and the number of the budget that says so; 0 is the wallet."""

    nano: int
    budget: int


def place(period: int, spool: str, ask: Ask, ended: Sequence[str]) -> Answer | None:
    """Place one hold, or say why not; ``None`` when PostgreSQL does not decide (any more)."""
    with transaction.atomic(durable=True):
        held = _locked(period, ask, ended, but=ask.request_id)
        if held is None:
            return None
        # A limit of 0 shuts an organization.
        if held.running >= ask.concurrency:
            return Answer(_CONCURRENCY, (_RETRY_MS, ask.concurrency, 0, 0))
        left = _left(ask, held)
        answer = _decide(ask, left)
        if not answer.status:
            _write(spool, ask, answer.numbers[0])
        return answer


def extend(period: int, ask: Ask, tokens: int) -> tuple[int, int] | None:
    """Grow the hold of a running stream by what is affordable; returns tokens and nano-USD, -1 for an unknown hold."""
    with transaction.atomic(durable=True):
        held = _locked(period, ask, (), but="")
        if held is None:
            return None
        hold = DegradedHold.objects.filter(pk=ask.request_id).first()
        if hold is None:
            return -1, 0
        left = max(0, _left(ask, held).nano)
        rate = ask.output_rate_picos
        granted = min(tokens, left * PICOS_PER_NANO // rate) if rate > 0 else tokens
        added = -(-granted * rate // PICOS_PER_NANO)
        hold.amount_nano += added
        hold.save(update_fields=["amount_nano"])
        return granted, added


def release(request_ids: Sequence[str], ended: Sequence[str]) -> None:
    """Drop the holds of requests that cost nothing, and note which others run no more."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [list(request_ids), list(ended)])


def _member(ask: Ask) -> str:
    return str(next((one for one in ask.budgets[::3] if str(one).startswith("user")), ""))


def _locked(period: int, ask: Ask, ended: Collection[str], *, but: str) -> _Held | None:
    """Lock the wallet, and the period until the transaction ends; ``None`` where PostgreSQL does not decide in it."""
    named: dict[str, Any] = {
        "turn": admission.TURN_LOCK,
        "period": period,
        "key": ask.key_id,
        "member": _member(ask),
        "organization": ask.organization_id,
        "ended": list(ended),
        "but": but,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, named)
        cursor.nextset()
        if cursor.fetchone() is None:
            return None
        cursor.nextset()
        balance, floor, state = cursor.fetchone() or (0, 0, WalletState.ACTIVE)
        cursor.nextset()
        held = cursor.fetchone() or (0, 0, 0, 0)
    wallet = Wallet(balance_nano=balance, floor_nano=floor, state=state)
    return _Held(wallet.spendable_nano, *map(int, held))


def _left(ask: Ask, held: _Held) -> _Left:
    left = _Left(UNBOUNDED if ask.mode == OWN else held.spendable - held.wallet, 0)
    budgets = [ask.budgets[start : start + 3] for start in range(0, len(ask.budgets), 3)]
    if not budgets:
        return left
    subjects = {str(subject) for subject, _, _ in budgets}
    found = spending.of_subjects(ask.organization_id, subjects, datetime.now(UTC))
    spent = {one.subject: one for one in found.subjects}
    for number, (subject, window, nano) in enumerate(budgets, 1):
        name = str(subject)
        kind = name.partition("_")[0]
        running = held.wallet if kind == "org" else held.member if kind == "user" else held.key
        rest = int(nano) - running - getattr(spent[name], f"{Window(str(window))}_nano")
        if rest < left.nano:
            left = _Left(rest, number)
    return left


def _decide(ask: Ask, left: _Left) -> Answer:
    """Decide as ``admit.lua`` does; both are held together by a test."""
    rate, cost = ask.output_rate_picos, ask.input_cost_picos
    affordable = (left.nano * PICOS_PER_NANO - cost) // rate if rate > 0 else 0
    output = ask.output_tokens
    if rate > 0 and ask.mode != "explicit":
        share = affordable
        if ask.mode == "whole":
            share = max(ask.least_output_tokens, left.nano * PICOS_PER_NANO // 2 // rate)
        output = max(min(output, affordable, share), min(ask.least_output_tokens, ask.output_tokens))
    hold = -(-(cost + output * rate) // PICOS_PER_NANO)
    if left.nano < hold or left.nano <= 0:
        return Answer(_MONEY, (left.nano, hold, max(0, affordable), output), left.budget)
    return Answer(0, (hold, output, left.nano - hold, 0))


def _write(spool: str, ask: Ask, amount_nano: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _HOLD, [ask.request_id, ask.organization_id, ask.key_id, _member(ask), amount_nano, spool]
        )
