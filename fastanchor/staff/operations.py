"""How the product fares right now, as its staff see it: panels, each for those who may open what it is about.

A panel reads what others keep up to date (``billing.pulse``, ``billing.tally``, ``channel_reports``) and short tables, never
usage records. Without Valkey the page says so and shows what PostgreSQL knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.db.models import Prefetch
from django.template.loader import render_to_string
from redis.exceptions import RedisError

from billing import admission, pulse, tally
from billing.analytics import day_of
from billing.models import Admission, DeadLetter, GatewayProcess, ItemState, ReconciliationItem
from billing.pulse import Beat, Pulse
from billing.tally import Shipping, Waiting
from catalog import incidents
from catalog.models import Channel, Credential
from fastanchor import channel_reports
from fastanchor.celery import app as celery
from fastanchor.channel_pages import Line
from fastanchor.channel_reports import Seen
from fastanchor.lib.charts import Bar, bar_chart
from fastanchor.lib.valkey import sync_client
from fastanchor.staff import alarms
from fastanchor.templatetags.fa import count

MOST_CHANNELS = 40
# Where Celery's transport keeps tasks that a worker has taken and not ended.
_TAKEN = "unacked"
# A process tells PostgreSQL of itself every ten seconds at most.
SILENT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Told:
    """What Valkey tells; ``None`` in its place while it is away."""

    pulse: Pulse
    shippers: Sequence[Shipping]
    waiting: Sequence[Waiting]
    seen: dict[str, Seen]
    queued: int
    taken: int


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """One channel on the map: how it stands, and the requests of the last minute and the last ten."""

    line: Line
    minute: int
    requests: int
    failed: int

    @property
    def error_rate(self) -> str:
        """The share of its requests of the last ten minutes that failed."""
        return share(self.failed, self.requests)

    @property
    def tone(self) -> str:
        """How it is marked."""
        if self.line.state != "in service":
            return "bad" if self.line.channel.is_enabled else "warn"
        return "warn" if self.failed and self.failed * 20 >= self.requests else "good"


@dataclass(frozen=True, slots=True)
class Host:
    """One host's shipper: how long records wait for it, seconds, and since when it has been silent."""

    name: str
    lag_s: float
    waiting_s: float
    silent_s: float


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a page shows of one moment, before anybody's permissions; what nobody asked for is not read."""

    at: datetime
    told: Told | None
    mode: Admission
    processes: Sequence[GatewayProcess]
    channels: Sequence[ChannelLine]
    channel_count: int
    dead_letters: int
    open_items: int
    incidents: Sequence[object]
    allowed: frozenset[str]

    @property
    def hosts(self) -> list[Host]:
        """The shippers that were heard of."""
        return _hosts(self.told, self.at.timestamp()) if self.told else []

    @property
    def silent(self) -> list[GatewayProcess]:
        """The processes of which nobody has heard for a while."""
        return [each for each in self.processes if each.seen_at < self.at - SILENT]


# What each panel needs, in the order of the page; alarms ask for themselves.
PANELS = {
    "alarms": "",
    "traffic": "billing.view_usagerecord",
    "waiting": "",
    "settling": "billing.view_gatewayprocess",
    "channels": "catalog.view_channel",
}
PERMISSIONS = (
    "billing.view_usagerecord",
    "billing.view_gatewayprocess",
    "billing.view_admission",
    "billing.view_deadletter",
    "billing.view_reconciliationitem",
    "catalog.view_channel",
    "catalog.view_credential",
    "catalog.view_incident",
)


def allowed_to(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """Return those permissions that matter here and that a member of staff has."""
    if not isinstance(user, PermissionsMixin):
        return frozenset()
    return frozenset(each for each in PERMISSIONS if user.has_perm(each))


def sections(allowed: frozenset[str]) -> list[tuple[str, str]]:
    """Return the panels as HTML by name; none for who may see nothing."""
    if not allowed:
        return []
    moment = gather(allowed, at=datetime.now(UTC))
    told: dict[str, dict[str, object]] = {
        "alarms": {"alarms": alarms.of(moment)},
        "traffic": _traffic(moment),
    }
    return [
        (name, _render(name, moment, told.get(name, {})))
        for name, permission in PANELS.items()
        if not permission or permission in allowed
    ]


def gather(allowed: frozenset[str], *, at: datetime) -> Moment:
    """Read the moment; some ten queries, however much there is."""
    told = _told()
    lines, channel_count = _channels(told) if "catalog.view_channel" in allowed else ([], 0)
    return Moment(
        at=at,
        told=told,
        mode=admission.current(),
        processes=list(GatewayProcess.objects.order_by("host", "spool")[:200]),
        channels=lines,
        channel_count=channel_count,
        dead_letters=_count(allowed, "billing.view_deadletter", _dead_letters),
        open_items=_count(allowed, "billing.view_reconciliationitem", _open_items),
        incidents=incidents.open_incidents() if "catalog.view_incident" in allowed else [],
        allowed=allowed,
    )


def share(part: int, whole: int) -> str:
    """Write a share as a percentage with one place; a dash of nothing."""
    if not whole:
        return "–"
    tenths = part * 1_000 // whole
    return f"{tenths // 10}.{tenths % 10} %"


def _told() -> Told | None:
    client = sync_client()
    try:
        _, shippers = tally.read(client)
        return Told(
            pulse=pulse.read(client),
            shippers=shippers,
            waiting=tally.waiting(client),
            seen=channel_reports.read(),
            queued=client.llen(celery.conf.task_default_queue),
            taken=client.hlen(_TAKEN),
        )
    except RedisError:
        return None


def _channels(told: Told | None) -> tuple[list[ChannelLine], int]:
    rows = Channel.objects.filter(own_key="").select_related("provider", "dedicated_to")
    rows = rows.order_by("-is_enabled", "priority", "provider", "name", "pk")
    credentials = Prefetch("credentials", queryset=Credential.objects.order_by("created_at", "pk"))
    found = list(rows.prefetch_related(credentials)[: MOST_CHANNELS + 1])
    total = len(found) if len(found) <= MOST_CHANNELS else rows.count()
    minute = told.pulse.last(60) if told else Beat()
    lately = told.pulse.last(600) if told else Beat()
    seen = told.seen if told else {}
    return [
        ChannelLine(
            line=Line(each, list(each.credentials.all()), seen.get(each.pk)),
            minute=minute.by_channel[each.pk],
            requests=lately.by_channel[each.pk],
            failed=lately.failed_by_channel[each.pk],
        )
        for each in found[:MOST_CHANNELS]
    ], total


def _hosts(told: Told, now: float) -> list[Host]:
    lags = {each.host: each for each in told.shippers}
    return [
        Host(
            name=each.host,
            lag_s=lags[each.host].lag_s if each.host in lags else 0.0,
            waiting_s=each.waiting_s,
            silent_s=max(0.0, now - max(each.at, lags[each.host].at if each.host in lags else 0.0)),
        )
        for each in told.waiting
    ]


def _count(allowed: frozenset[str], permission: str, read: Callable[[], int]) -> int:
    return read() if permission in allowed else 0


def _dead_letters() -> int:
    return DeadLetter.objects.filter(resolved_at=None).count()


def _open_items() -> int:
    return ReconciliationItem.objects.filter(state=ItemState.OPEN).count()


def _traffic(moment: Moment) -> dict[str, object]:
    if moment.told is None:
        return {}
    heart = moment.told.pulse
    minute, lately = heart.last(60), heart.last(600)
    bars = [
        Bar(
            f"{count(beat.requests)} requests in {pulse.SLOT_S} s, {count(beat.failed)} failed", beat.requests
        )
        for beat in heart.slots
    ]
    return {
        "per_second": f"{minute.requests // 60}.{minute.requests * 10 // 60 % 10}",
        "minute": minute,
        "lately": lately,
        "error_rate": share(lately.failed, lately.requests),
        "error_tone": "bad" if alarms.is_failing(lately) else "",
        "latency": [lately.whole_ms(percent) for percent in (50, 95)],
        "first_token": [lately.first_token_ms(percent) for percent in (50, 95)],
        "today": heart.today,
        "today_is_partial": _is_partial(heart.today.since, moment.at),
        "chart": bar_chart(bars, name="Requests in each ten seconds of the last ten minutes"),
    }


def _is_partial(since: datetime | None, at: datetime) -> bool:
    """Tell whether counting began well into the day, for Valkey had forgotten; early on nothing may have ended yet."""
    return since is not None and since - day_of(at) > timedelta(hours=1)


def _render(name: str, moment: Moment, told: dict[str, object]) -> str:
    may = {each.replace(".view_", "_"): True for each in moment.allowed}
    return render_to_string(f"admin/operations/_{name}.html", {**told, "moment": moment, "may": may})
