"""Reading usage records for pages and the API; every query is bounded by an organization and a time or a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from accounts.models import Organization
from billing import spending
from billing.analytics import ONE_HOUR, Numbers
from billing.attempts import AttemptMade, Considered
from billing.models import UsageRecord
from billing.spool import Usage as Entry

MAX_ROWS = 1000


class UnknownRequest(Exception):
    """The organization has no usage record of this request."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour's usage; money in nano-USD."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Day:
    """One day's usage (UTC), in all and by hour; money in nano-USD."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano: int
    hours: tuple[Hour, ...] = field(repr=False)


def day_of(found: Mapping[datetime, Numbers], at: datetime) -> Day:
    """Return the day (UTC) that ``at`` is in, from the hours of a course, by the time requests started."""
    start = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = tuple(_hour(found.get(start + number * ONE_HOUR, Numbers())) for number in range(24))
    return Day(
        requests=sum(hour.requests for hour in hours),
        input_tokens=sum(hour.input_tokens for hour in hours),
        output_tokens=sum(hour.output_tokens for hour in hours),
        cost_nano=sum(hour.cost_nano for hour in hours),
        hours=hours,
    )


def _hour(numbers: Numbers) -> Hour:
    return Hour(numbers.requests, numbers.input_tokens, numbers.output_tokens, numbers.cost_nano)


def recent(
    *, organization: Organization, limit: int, before: str | None = None, after: str | None = None
) -> list[UsageRecord]:
    """Return up to ``limit`` records, newest first; only those older or newer than a given request id.

    At most ``MAX_ROWS``. Raises ``UnknownRequest`` for a ``before`` or ``after`` that is not the organization's.
    """
    records = UsageRecord.objects.filter(organization=organization)
    if before is not None:
        edge = find(organization=organization, request_id=before)
        is_older = Q(started_at__lt=edge.started_at) | Q(request_id__gt=edge.request_id)
        records = records.filter(is_older, started_at__lte=edge.started_at)
    if after is not None:
        edge = find(organization=organization, request_id=after)
        is_newer = Q(started_at__gt=edge.started_at) | Q(request_id__lt=edge.request_id)
        records = records.filter(is_newer, started_at__gte=edge.started_at)
    # The index's own order: of two that started together, the lower id comes first.
    return list(records.order_by("-started_at", "request_id")[: max(0, min(limit, MAX_ROWS))])


def find(*, organization: Organization, request_id: str) -> UsageRecord:
    """Return the record of one request; raises ``UnknownRequest`` also for another organization's."""
    record = UsageRecord.objects.filter(organization=organization, request_id=request_id).first()
    if record is None:
        raise UnknownRequest(request_id)
    return record


def used_nano(organization: Organization) -> int:
    """Return all that an organization has ever used, in nano-USD."""
    [spent] = spending.of_subjects(organization.pk, [organization.pk]).subjects
    return spent.lifetime_nano


def entry_of(record: UsageRecord) -> Entry:
    """Return a record in the form in which it came from the spool, for those who may not know tables."""
    same = {name: getattr(record, name) for name in Entry.__struct_fields__ if hasattr(record, name)}
    return Entry(
        **same
        | {
            "started_at_ms": _milliseconds(record.started_at),
            "finished_at_ms": _milliseconds(record.finished_at),
            "first_token_ms": -1 if record.first_token_ms is None else record.first_token_ms,
            "attempts_made": tuple(AttemptMade(*each) for each in record.attempts_made or ()),
            "considered": tuple(Considered(*each) for each in record.considered or ()),
        }
    )


def attempts_of(record: UsageRecord) -> tuple[AttemptMade, ...]:
    """Return a request's attempts in order; empty where they are not known."""
    return entry_of(record).all_attempts()


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def units_text(record: UsageRecord) -> str:
    """Write what a request used beside tokens: ``2 searches, 1 image``; empty where there is none."""
    counts = (
        (record.images, "image", "images"),
        (record.searches, "search", "searches"),
        (record.characters, "character", "characters"),
        (record.seconds, "second", "seconds"),
    )
    return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count)
