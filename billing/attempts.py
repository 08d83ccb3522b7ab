"""The attempts of a request: which upstreams were asked for it, what came of each, and what else there was to choose.

Ids and numbers only.

This is a door: it knows neither the ORM nor Django.
"""

from __future__ import annotations

from typing import NamedTuple


class AttemptMade(NamedTuple):
    """One upstream call that has ended, or has begun to answer.

    ``status`` is what the upstream answered, 0 where nothing came; ``error_code`` is a word of ours, empty where the
    attempt served; ``ms`` runs from the attempt's own start to its first content, whole answer or failure; ``model_id``
    is empty where only one model could serve the request.
    """

    provider_id: str
    channel_id: str
    status: int
    error_code: str
    ms: int
    model_id: str = ""

    @property
    def has_served(self) -> bool:
        """Tell whether its answer went to the caller."""
        return not self.error_code


class Considered(NamedTuple):
    """A channel that could have been chosen, as it stood at that moment in the process that chose; in the order tried.

    ``score`` is how well it did lately, in thousandths. ``state`` is ``ready``, ``paused`` (after failures),
    ``credential`` (none works), or the limit of ours that is reached: ``requests``, ``tokens``, ``concurrency``;
    ``wait_s`` is how long that lasts about, and ``running`` how many requests run where they are counted.
    """

    provider_id: str
    channel_id: str
    priority: int
    score: int
    state: str
    wait_s: int
    running: int
