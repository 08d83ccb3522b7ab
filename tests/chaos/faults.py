"""The faults of a round: who is killed when, and when it is started again; all of it out of the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple, Protocol

VICTIMS = ("gateway 1", "gateway 2", "shipper", "worker", "valkey", "postgresql", "memory of valkey")
# With either, every hold is forgotten.
FORGETTING = frozenset({"valkey", "memory of valkey"})
_LONGEST_PAUSE_S = 1.0
# How often the second fault of a round falls into the first one's absence.
_TOGETHER = 0.6


class Victim(Protocol):
    """Something that runs, can be killed with SIGKILL and started again."""

    def kill(self) -> None:
        """End it without warning."""

    def revive(self) -> None:
        """Start it again."""


class Fault(NamedTuple):
    """One kill, in seconds after the round's start."""

    victim: str
    killed_at: float
    revived_at: float

    def __str__(self) -> str:
        return f"{self.victim} at {self.killed_at:.2f} s for {self.revived_at - self.killed_at:.2f} s"


class Action(NamedTuple):
    """One step of a round."""

    at: float
    victim: str
    is_kill: bool


def faults_of(source: Random, *, seconds: float, among: Sequence[str] = VICTIMS) -> tuple[Fault, ...]:
    """Draw one or two faults for a round of so many seconds of load."""
    victims = source.sample(among, min(source.choice((1, 2)), len(among)))
    pauses = [source.uniform(0, _LONGEST_PAUSE_S) for _ in victims]
    moments = [source.uniform(0.2, 0.7) * seconds for _ in victims]
    if len(victims) > 1 and source.random() < _TOGETHER:
        # While the first one is away: only then it shows what each of them does without the other.
        moments[-1] = source.uniform(moments[0], moments[0] + pauses[0])
    return tuple(
        Fault(victim, at, at + pause) for victim, at, pause in zip(victims, moments, pauses, strict=True)
    )


def actions(faults: tuple[Fault, ...]) -> list[Action]:
    """Return every kill and every restart in the order of time."""
    kills = [Action(fault.killed_at, fault.victim, is_kill=True) for fault in faults]
    revivals = [Action(fault.revived_at, fault.victim, is_kill=False) for fault in faults]
    return sorted(kills + revivals)


def act(action: Action, victims: Mapping[str, Victim]) -> None:
    """Do one step."""
    victim = victims[action.victim]
    victim.kill() if action.is_kill else victim.revive()
