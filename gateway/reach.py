"""On which paths a model is served, for pages that say so; the answer is that of the endpoints and the passages."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.endpoints import ENDPOINTS
from gateway.passages.table import leads_to


def paths_of(kind: str, adapters: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that serve models of a kind, through channels that have these adapters."""
    found = set(adapters)
    return tuple(
        path
        for path, format_ in ENDPOINTS.items()
        if format_.kind == kind and any(leads_to(format_, adapter) for adapter in found)
    )
