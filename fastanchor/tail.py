"""The live tail of the log: requests as they are settled, to each open log those that meet its filters.

What is told by the shipper is read by id, so that a request that took long is not missed among newer ones; the newest
are read as well, so that what was told while nobody listened comes late instead of never.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from accounts.models import ApiKey, Organization
from billing import usage
from billing.models import UsageRecord
from billing.selection import Selection
from fastanchor import activity, live
from fastanchor.feeds import Frame, Hub, Pace
from fastanchor.live import Viewer

KEPT = 200
_NEWEST = 50
_HEARD = 500
# No request runs longer; it keeps the search by id to a partition or two.
_LONGEST = timedelta(days=2)


class Tails(Hub):
    """What arrived lately at each organization that is watched: records by id, the latest last, and each as a row."""

    def __init__(self, pace: Pace | None = None) -> None:
        super().__init__(self._gather, pace)
        self.records: dict[str, dict[str, UsageRecord]] = {}
        self._rows: dict[str, dict[str, str]] = {}
        self._heard: dict[str, list[str]] = {}

    def wake(self, organization_id: str, told: bytes) -> None:
        """Note which records are new, of organizations that are watched."""
        if organization_id not in self._feeds:
            return
        fresh = msgspec.json.decode(told, type=list[str])
        # A new list each time: the thread that renders may just be taking the old one.
        self._heard[organization_id] = [*self._heard.get(organization_id, ()), *fresh][-_HEARD:]
        super().wake(organization_id, told)

    def _gather(self, organization: Organization) -> Frame:
        self._forget_the_unwatched()
        heard = self._heard.pop(organization.pk, [])
        known = self.records.setdefault(organization.pk, {})
        rows = self._rows.setdefault(organization.pk, {})
        fresh = [record for record in _read(organization, heard) if record.request_id not in known]
        keys = _names(fresh)
        for record, (_, html) in zip(
            fresh, activity.rendered([activity.row(each, keys) for each in fresh]), strict=True
        ):
            known[record.request_id], rows[record.request_id] = record, html
        for request_id in list(islice(known, max(0, len(known) - KEPT))):
            del known[request_id], rows[request_id]
        return Frame((), tuple(rows.items()))

    def _forget_the_unwatched(self) -> None:
        watched = set(self._feeds.copy())
        for kept in (self.records, self._rows, self._heard):
            for organization_id in kept.keys() - watched:
                kept.pop(organization_id, None)


def _read(organization: Organization, heard: list[str]) -> list[UsageRecord]:
    """Return the newest records and those that were told, in the order of their start."""
    found = {record.request_id: record for record in usage.recent(organization=organization, limit=_NEWEST)}
    missing = [request_id for request_id in heard if request_id not in found]
    if missing:
        since = datetime.now(UTC) - _LONGEST
        told = UsageRecord.objects.filter(
            organization=organization, request_id__in=missing, started_at__gte=since
        )
        found |= {record.request_id: record for record in told}
    return sorted(found.values(), key=lambda record: (record.started_at, record.request_id))


def _names(records: list[UsageRecord]) -> dict[str, str]:
    keys = ApiKey.objects.filter(id__in={record.key_id for record in records})
    return dict(keys.values_list("id", "name"))


async def events(viewer: Viewer, selection: Selection, hub: Tails | None = None) -> AsyncIterator[bytes]:
    """Yield server-sent events for one open log: the rows that it may not have yet, then what comes."""
    hub = hub or live.hub_of(Tails)
    sent: set[str] = set()
    async with aclosing(live.frames(viewer, hub)) as shown:
        async for frame in shown:
            if isinstance(frame, bytes):
                yield frame
                continue
            records = hub.records.get(viewer.organization.pk, {})
            fresh = [
                html
                for request_id, html in frame.rows
                if request_id not in sent
                and (record := records.get(request_id)) is not None
                and selection.holds(record)
            ]
            sent = {request_id for request_id, _ in frame.rows}
            yield live.event("rows", "".join(fresh)) if fresh else live.STILL_HERE
