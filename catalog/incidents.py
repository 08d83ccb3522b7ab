"""Incidents: what staff tells callers when models or providers do not answer as they should."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from catalog.models import CatalogModel, Incident, IncidentState, IncidentUpdate, Provider

PAGE_SIZE = 10
MOST_OPEN = 20


def follow_updates(incident: Incident) -> None:
    """Give an incident the state of its newest update; it is resolved since that update, or open."""
    with transaction.atomic():
        newest = _newest_first(incident.updates.all()).first()
        incident.state = newest.state if newest else IncidentState.INVESTIGATING
        is_over = newest is not None and newest.state == IncidentState.RESOLVED
        incident.resolved_at = newest.at if newest is not None and is_over else None
        incident.save(update_fields=["state", "resolved_at"])


def open_incidents() -> list[Incident]:
    """Return what is not resolved, newest first; ``gather`` fetches what belongs to it."""
    return list(Incident.objects.filter(resolved_at=None).order_by("-started_at", "id")[:MOST_OPEN])


def history(*, page: str | int = 1) -> Page[Incident]:
    """Return a page of what is resolved, newest first; a number that is none is the first or last page."""
    resolved = Incident.objects.exclude(resolved_at=None).order_by("-started_at", "id")
    return Paginator(resolved, PAGE_SIZE).get_page(page)


def newest(*, limit: int) -> list[Incident]:
    """Return the newest incidents, open or not, with all that belongs to them."""
    return gather(list(Incident.objects.order_by("-started_at", "id")[:limit]))


def gather(incidents: Sequence[Incident]) -> list[Incident]:
    """Fetch updates, newest first, and the names of what is affected, in three queries."""
    found = list(incidents)
    prefetch_related_objects(
        found,
        Prefetch("updates", _newest_first(IncidentUpdate.objects.all())),
        Prefetch("affected_providers", Provider.objects.order_by("name", "pk")),
        Prefetch("affected_models", CatalogModel.objects.order_by("pk")),
    )
    return found


def _newest_first(updates: QuerySet[IncidentUpdate]) -> QuerySet[IncidentUpdate]:
    return updates.order_by("-at", "-pk")
