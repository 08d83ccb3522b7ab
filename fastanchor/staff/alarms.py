"""What somebody should look at now: sentences made from the moment that ``fastanchor.staff.operations`` gathers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from django.urls import reverse

from billing.pulse import Beat
from fastanchor.templatetags.fa import count

if TYPE_CHECKING:
    from fastanchor.staff.operations import Moment

# Fewer requests say nothing of a share.
_ENOUGH = 20
_MOST_LAG_S = 10.0
_MOST_SILENCE_S = 60.0
_MOST_QUEUED = 500


class Alarm(NamedTuple):
    """One sentence, how bad it is, and where it is worked on."""

    tone: str
    words: str
    path: str


def of(moment: Moment) -> list[Alarm]:
    """Return the alarms of a moment that its reader may work on, the worst first."""
    found = [
        Alarm(tone, words, reverse(url_name))
        for tone, words, url_name, permission in _all(moment)
        if permission in moment.allowed
    ]
    return sorted(found, key=lambda alarm: alarm.tone != "bad")


_Line = tuple[str, str, str, str]


def _all(moment: Moment) -> Iterator[_Line]:
    yield from _stores(moment)
    yield from _traffic(moment)
    yield from _channels(moment)
    yield from _settling(moment)
    yield from _waiting(moment)


def _stores(moment: Moment) -> Iterator[_Line]:
    admission = ("admin:billing_admission_changelist", "billing.view_admission")
    if moment.told is None:
        yield "bad", "Valkey does not answer: nothing is known of the present moment.", *admission
    if moment.mode.is_degraded:
        does = "stands in for Valkey" if moment.mode.is_open else "prepares to stand in for Valkey"
        yield "bad", f"PostgreSQL {does}: requests are served more slowly.", *admission


def _traffic(moment: Moment) -> Iterator[_Line]:
    if moment.told is None:
        return
    lately = moment.told.pulse.last(300)
    if is_failing(lately):
        words = (
            f"{count(lately.failed)} of {count(lately.requests)} requests of the last five minutes failed."
        )
        yield "bad", words, "admin:billing_usagerecord_changelist", "billing.view_usagerecord"


def is_failing(beat: Beat) -> bool:
    """Tell whether one in twenty failed, of enough to say so."""
    return beat.requests >= _ENOUGH and beat.failed * 20 >= beat.requests


def _channels(moment: Moment) -> Iterator[_Line]:
    where = ("channels-now", "catalog.view_channel")
    for each in moment.channels:
        line = each.line
        name = f"{line.channel.provider.name} {line.channel.name}"
        if not line.channel.is_enabled:
            continue
        if line.credentials and len(line.out) == len(line.credentials):
            yield "bad", f"{name} has no credential that works.", *where
        elif line.out:
            some = "One credential" if len(line.out) == 1 else f"{len(line.out)} credentials"
            yield (
                "warn",
                f"{some} of {name} is out." if len(line.out) == 1 else f"{some} of {name} are out.",
                *where,
            )
        if line.seen is not None and line.seen.pause_s:
            yield "warn", f"{name} is passed over for {line.seen.pause_s:.0f} s.", *where


def _settling(moment: Moment) -> Iterator[_Line]:
    where = ("admin:billing_gatewayprocess_changelist", "billing.view_gatewayprocess")
    for host in moment.hosts:
        if max(host.lag_s, host.waiting_s) > _MOST_LAG_S:
            late_s = max(host.lag_s, host.waiting_s)
            yield "bad", f"Usage on {host.name} waits {late_s:.0f} s to be settled.", *where
        if host.silent_s > _MOST_SILENCE_S:
            yield "bad", f"The shipper of {host.name} has been silent for {host.silent_s:.0f} s.", *where
    for process in moment.silent:
        yield "warn", f"The gateway process {process.spool} has not been heard of for a minute.", *where
    for process in moment.processes:
        if not process.valkey_answers and process not in moment.silent:
            yield "bad", f"The gateway process {process.spool} does not reach Valkey.", *where
    if moment.told is not None and moment.told.queued > _MOST_QUEUED:
        yield "warn", f"{count(moment.told.queued)} background tasks wait for a worker.", *where


def _waiting(moment: Moment) -> Iterator[_Line]:
    if letters := moment.dead_letters:
        words = "One record" if letters == 1 else f"{count(letters)} records"
        where = ("admin:billing_deadletter_changelist", "billing.view_deadletter")
        yield "bad", f"{words} could not be settled.", *where
    if items := moment.open_items:
        words = "One difference of money waits" if items == 1 else f"{count(items)} differences of money wait"
        where = ("admin:billing_reconciliationitem_changelist", "billing.view_reconciliationitem")
        yield "warn", f"{words} for somebody.", *where
