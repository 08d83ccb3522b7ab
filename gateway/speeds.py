"""How soon each channel answers for a model, and how fast it writes: what this process has seen lately."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.call import Call, Outcome

# How much the newest answer counts: half of what is remembered are the last three.
_SHARE = 0.2
_Key = tuple[str, str, bool]


class Speeds:
    """Moving averages by channel and model, of streams and of whole answers apart."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latencies: dict[_Key, float] = {}
        self._throughputs: dict[_Key, float] = {}

    def note(self, call: Call, outcome: Outcome) -> None:
        """Learn from an answer; only where there is a choice to be made."""
        if outcome.name != "completed" or call.channel is None or len(call.model.routes) == 1:
            return
        now, key = self._clock(), (call.channel.id, call.model.id, call.is_stream)
        began = call.first_token_at if call.is_stream else call.asked_at
        _learn(self._latencies, key, (began if call.is_stream else now) - call.asked_at)
        if outcome.usage.output_tokens and now > began:
            _learn(self._throughputs, key, outcome.usage.output_tokens / (now - began))

    def latency(self, channel_id: str, model_id: str, *, is_stream: bool) -> float | None:
        """Return the seconds to the first content of a stream, or to a whole answer."""
        return self._latencies.get((channel_id, model_id, is_stream))

    def throughput(self, channel_id: str, model_id: str, *, is_stream: bool) -> float | None:
        """Return the output tokens of a second."""
        return self._throughputs.get((channel_id, model_id, is_stream))


def _learn(known: dict[_Key, float], key: _Key, value: float) -> None:
    before = known.get(key, value)
    known[key] = before + (value - before) * _SHARE
