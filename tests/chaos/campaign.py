"""The campaign: rounds of load in which processes are killed, and after each the proof that no money was lost."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from fastanchor.children import kill, spawn
from tests.chaos import load
from tests.chaos.calls import Call, Customer, Plan
from tests.chaos.faults import FORGETTING, VICTIMS, Fault, act, actions, faults_of
from tests.chaos.invariants import Evidence, breaches, served_too_early
from tests.chaos.money import Leases, wallet_breaches
from tests.chaos.stage import GRACE_S, Stage
from tests.live.product import CommandFailed
from tests.live.programs import ROOT, wait_until

_RICH, _RICH_CLIENTS, _RICH_CENTS = 3, 4, 10_000
# More clients than a wallet can pay at once: some always wait for credit that others hold.
_POOR, _POOR_CLIENTS, _POOR_CENTS = 2, 8, 1
# How often a round has no long calls.
_BRISK = 0.5
_REOPENED_S = 0.7
_HEAL_S, _RECOVER_S, _QUIET_S = 30.0, 10.0, 20.0
_TASKS_EVERY_S = 0.5


class Broken(Exception):
    """An invariant does not hold; the message begins with its name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one round came to."""

    number: int
    faults: tuple[Fault, ...]
    calls: int
    answered: int
    billed: int
    records: int
    interrupted: int
    guessed: int
    leased: int
    took_s: float
    # How long after Valkey had forgotten everything the last customer with credit was served again.
    unserved_s: float | None = None

    def __str__(self) -> str:
        served = "" if self.unserved_s is None else f"all served again after {self.unserved_s:.1f} s, "
        return (
            f"round {self.number}: killed {', '.join(map(str, self.faults))}: {self.calls} calls, {self.answered} "
            f"answered in full, {self.billed} billed upstream, {self.records} records ({self.interrupted} interrupted, "
            f"{self.guessed} matched by time), {self.leased} holds until their lease ends, 0 missing, 0 duplicate, "
            f"discrepancy 0; {served}{self.took_s:.1f} s"
        )


@dataclass(slots=True)
class Campaign:
    """Rounds on one running product; what moved in a round stays in the books of the next."""

    stage: Stage
    seed: int
    seconds_per_round: float
    victims: Sequence[str] = VICTIMS
    _number: int = 0
    _rich: list[Customer] = field(default_factory=list)
    _poor: list[Customer] = field(default_factory=list)
    _judged: set[str] = field(default_factory=set)
    _leases: Leases = field(default_factory=Leases)

    def run_round(self) -> Result:
        """Load, kill, heal, check; raises ``Broken``."""
        started = time.monotonic()
        self._number += 1
        source = Random(f"{self.seed}:{self._number}")
        faults = faults_of(source, seconds=self.seconds_per_round, among=self.victims)
        plan = self._plan(faults, is_brisk=source.random() < _BRISK)
        self.stage.reset()
        calls = self._put_under_load(plan, faults)
        calls += self._heal([customer for customer, _ in plan.customers])
        return self._check(plan, faults, calls, started)

    def _plan(self, faults: tuple[Fault, ...], *, is_brisk: bool) -> Plan:
        while len(self._rich) < _RICH:
            self._rich.append(self.stage.new_customer(credit_cents=_RICH_CENTS))
        poor = [self.stage.new_customer(credit_cents=_POOR_CENTS, is_poor=True) for _ in range(_POOR)]
        self._poor += poor
        seconds = self.seconds_per_round
        for fault in faults:
            if fault.victim in FORGETTING:
                # Until wallets are open again beside calls from before: that is when too much could be admitted.
                seconds, is_brisk = max(seconds, fault.revived_at + GRACE_S + _REOPENED_S), False
        clients = [(one, _RICH_CLIENTS) for one in self._rich] + [(one, _POOR_CLIENTS) for one in poor]
        name = f"{self.seed}-{self._number}"
        return Plan(name, seconds, is_brisk, self.stage.product.base_urls, tuple(clients))

    # Breaking.

    def _put_under_load(self, plan: Plan, faults: tuple[Fault, ...]) -> list[Call]:
        folder = self.stage.product.folder
        (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
        seen = folder / "calls.jsonl"
        with seen.open("wb") as output:
            command: list[str | Path] = [sys.executable, "-m", "tests.chaos.load", folder / "plan.json"]
            clients = spawn(command, cwd=ROOT, stdout=output)
        try:
            self._break(faults)
            status = self._wait_for(clients, plan.seconds + load.PATIENCE_S + 10)
        finally:
            kill(clients)
        if status:
            raise Broken(f"load: the clients ended with status {status}")
        return [msgspec.json.decode(line, type=Call) for line in seen.read_bytes().splitlines()]

    def _break(self, faults: tuple[Fault, ...]) -> None:
        started = time.monotonic()
        for action in actions(faults):
            self._pause_until(started + action.at)
            act(action, self.stage.victims)

    def _pause_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0:
            self.stage.trigger_tasks()
            time.sleep(min(left, _TASKS_EVERY_S))

    def _wait_for(self, clients: subprocess.Popen[bytes], seconds: float) -> int:
        until = time.monotonic() + seconds
        while (status := clients.poll()) is None and time.monotonic() < until:
            self._pause_until(time.monotonic() + 0.1)
        return -1 if status is None else status

    # Healing.

    def _heal(self, customers: Sequence[Customer]) -> list[Call]:
        _insist(self.stage.is_serving, "recovery", "every process runs and every gateway is ready", _HEAL_S)
        # A probe that PostgreSQL decides opens no wallet in Valkey.
        _insist(self.stage.is_decided_by_valkey, "recovery", "Valkey decides again", _HEAL_S)
        probes = [probe for customer in customers for probe in self._probe(customer)]
        _insist(self.stage.is_quiet, "I11", "every spool is acknowledged to its end", _QUIET_S)
        _insist(self._is_posted, "recovery", "the worker has posted all usage", _QUIET_S)
        return probes

    def _is_posted(self) -> bool:
        if self.stage.unposted_nano():
            self._pause_until(time.monotonic() + _TASKS_EVERY_S / 5)
            return False
        return True

    def _probe(self, customer: Customer) -> list[Call]:
        """Call through every gateway until it serves this customer again."""
        calls: list[Call] = []
        until = time.monotonic() + _RECOVER_S
        for gateway, url in enumerate(self.stage.product.base_urls):
            call = self._probe_once(customer, gateway, url, calls)
            while not (call.status == 200 or (call.status == 402 and customer.is_poor)):
                if time.monotonic() > until:
                    raise Broken(
                        f"recovery: {customer.organization} gets {call.status} from gateway {gateway + 1}"
                    )
                time.sleep(0.1)
                call = self._probe_once(customer, gateway, url, calls)
        return calls

    def _probe_once(self, customer: Customer, gateway: int, url: str, calls: list[Call]) -> Call:
        nonce = f"{self.seed}-{self._number}-probe-{customer.organization}-{len(calls)}"
        call = Call(nonce, customer.organization, customer.is_poor, gateway, is_stream=False)
        asyncio.run(load.ask(call, url, customer.key, load.Wish("tokens=1", 1, is_stream=False)))
        calls.append(call)
        return call

    # Checking.

    def _check(self, plan: Plan, faults: tuple[Fault, ...], calls: list[Call], started: float) -> Result:
        everything, entries = self.stage.records(), self.stage.entries()
        records = [record for record in everything if record.request_id not in self._judged]
        if lost := self._judged - {record.request_id for record in everything}:
            raise Broken(f"I12 {min(lost)} has vanished, one of {len(lost)}")
        killed = frozenset(fault.victim for fault in faults)
        matched, found = breaches(Evidence(calls, entries, records, killed))
        _raise_first(found)
        if "memory of valkey" in killed:
            forgotten_at = self.stage.memory.forgotten_at
            known = self.stage.known_spans(forgotten_at)
            _raise_first(served_too_early(calls, forgotten_at=forgotten_at, grace_s=GRACE_S, known=known))
        self._judged |= {record.request_id for record in records}
        balances = self.stage.balances()
        _raise_first(wallet_breaches([*self._rich, *self._poor], everything, balances))
        leased = sum(self._check_holds(one.organization, balances, calls) for one, _ in plan.customers)
        self._audit()
        return Result(
            number=self._number,
            faults=faults,
            calls=len(calls),
            answered=sum(call.is_complete and call.status == 200 for call in calls),
            billed=sum(entry.billed for entry in entries),
            records=len(records),
            interrupted=sum(record.outcome == "interrupted" for record in records),
            guessed=matched.guessed,
            leased=leased,
            took_s=time.monotonic() - started,
            unserved_s=self._unserved_s(calls) if "memory of valkey" in killed else None,
        )

    def _unserved_s(self, calls: Sequence[Call]) -> float:
        forgotten_at = self.stage.memory.forgotten_at
        served = [call for call in calls if call.status == 200 and call.sent_at > forgotten_at]
        return (
            max(
                min(
                    (call.ended_at for call in served if call.organization == one.organization),
                    default=math.inf,
                )
                for one in self._rich
            )
            - forgotten_at
        )

    def _check_holds(self, owner: str, balances: dict[str, int], calls: list[Call]) -> int:
        known = self.stage.known(owner)
        found = self._leases.breaches(
            known, balances[owner], calls=calls, records=self._judged, now=time.monotonic()
        )
        _raise_first(f"{breach} ({owner})" for breach in found)
        return len(known.holds)

    def _audit(self) -> None:
        try:
            self.stage.product.command("billing_verify", "--json")
        except CommandFailed as exc:
            raise Broken(f"billing_verify: {_culprits(str(exc))}") from None


def _insist(holds: Callable[[], bool], invariant: str, what: str, seconds: float) -> None:
    try:
        wait_until(holds, what=what, within_s=seconds)
    except TimeoutError as exc:
        raise Broken(f"{invariant}: {exc}") from None


def _raise_first(breaches: Sequence[str] | Iterator[str]) -> None:
    found = list(breaches)
    if found:
        raise Broken(found[0] + (f" (and {len(found) - 1} more)" if len(found) > 1 else ""))


def _culprits(message: str) -> str:
    checks = json.loads(message[message.index("{") :])["checks"]
    return "; ".join(f"{check['name']} {check['culprits']}" for check in checks if not check["ok"])


def run(
    folder: Path, *, rounds: int, seed: int, seconds_per_round: float, victims: Sequence[str] = VICTIMS
) -> Iterator[Result]:
    """Yield the result of each round; raises ``Broken`` at the first that breaks an invariant."""
    with Stage(folder) as stage:
        campaign = Campaign(stage, seed, seconds_per_round, victims)
        for _ in range(rounds):
            yield campaign.run_round()
