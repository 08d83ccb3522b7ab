"""Two sets of tiers side by side, rate by rate, for people to read. No ORM here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catalog.snapshot import Rates, Tier

_NAMES = {
    "input": "Input",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
    "output": "Output",
    "cache_write_1h": "Cache write, 1 h",
    "audio_input": "Audio input",
    "cached_audio_input": "Cached audio input",
    "audio_output": "Audio output",
    "image_input": "Image input",
    "image": "Images",
    "search": "Searches",
    "character": "Characters",
    "second": "Seconds",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One rate of one tier, in micro-USD per 1M; ``None`` on the side that does not have it."""

    where: str
    rate: str
    before: int | None
    after: int | None

    @property
    def change(self) -> str:
        """Say by how much it differs, in percent of what was before."""
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        return percent(self.after - self.before, self.before)


def percent(difference: int, of: int) -> str:
    """Write a difference in percent with one place, from whole numbers; what is not zero is never written as zero."""
    if not of:
        return "0.0 %" if not difference else "from zero"
    tenths = abs(difference) * 1_000 // abs(of)
    sign = "-" if (difference < 0) != (of < 0) else "+"
    if not tenths:
        return f"{sign}<0.1 %" if difference else "0.0 %"
    return f"{sign}{tenths // 10:,}.{tenths % 10} %"


def lines(before: Sequence[Tier], after: Sequence[Tier]) -> list[Line]:
    """Return the rates that differ, tier by tier."""
    return list(_lines(before, after))


def _lines(before: Sequence[Tier], after: Sequence[Tier]) -> Iterator[Line]:
    was, becomes = ({(t.during, t.above_tokens): t.rates for t in tiers} for tiers in (before, after))
    for key in sorted(was.keys() | becomes.keys()):
        old, new = _rates(was.get(key)), _rates(becomes.get(key))
        for name, words in _NAMES.items():
            if old.get(name) != new.get(name):
                yield Line(_where(*key), words, old.get(name), new.get(name))


def _rates(rates: Rates | None) -> dict[str, int | None]:
    return {} if rates is None else dataclasses.asdict(rates)


def _where(during: str, above_tokens: int) -> str:
    hours = f"{during} UTC" if during else ""
    above = f"above {above_tokens:,} tokens" if above_tokens else ""
    return ", ".join(part for part in (hours, above) if part) or "usual"
