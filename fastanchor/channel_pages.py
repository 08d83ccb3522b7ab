"""Staff's pages about channels that compose apps: how they do now, tests of one and of all, and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST, require_safe
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts.audit import NoReason
from catalog.channels import set_weights
from catalog.models import Channel, Credential
from fastanchor import channel_course, channel_probes, channel_reports, channel_tests, tasks
from fastanchor.channel_course import Point
from fastanchor.channel_reports import Seen
from fastanchor.channel_tests import LastTest
from fastanchor.lib.charts import sparkline

_PER_PAGE = 50
_MOST_WEIGHT = 10_000
_WEIGHT = "weight-"


@dataclass(frozen=True, slots=True)
class Line:
    """One channel on the page."""

    channel: Channel
    credentials: list[Credential]
    seen: Seen | None
    course: tuple[Point, ...] = ()
    tested: LastTest | None = None

    @property
    def tested_at(self) -> datetime | None:
        """Return when it was last tested."""
        return datetime.fromtimestamp(self.tested.at, UTC) if self.tested else None

    @property
    def errors_line(self) -> str:
        """Draw the errors of the last day."""
        return self._line([each.errors_per_mille for each in self.course], "Errors", "per thousand")

    @property
    def latency_line(self) -> str:
        """Draw the latency of the last day."""
        return self._line([each.first_ms for each in self.course], "First content", "ms")

    def _line(self, values: list[int], what: str, unit: str) -> str:
        if len(values) < 2:
            return ""
        name = f"{what} in the last day: {min(values)} to {max(values)} {unit}, now {values[-1]}"
        return sparkline(values, name=name)

    @property
    def out(self) -> list[Credential]:
        """Return the credentials that are not in service."""
        return [each for each in self.credentials if not each.is_enabled]

    @property
    def state(self) -> str:
        """Say whether requests go there."""
        if not self.channel.is_enabled:
            return f"disabled: {self.channel.disabled_reason}"
        if len(self.out) == len(self.credentials):
            return "out: no credential works"
        if self.seen is not None and self.seen.pause_s:
            return f"paused for {self.seen.pause_s:.0f} s"
        return "in service"


@require_safe
@permission_required("catalog.view_channel", raise_exception=True)
def channels_now(request: HttpRequest) -> HttpResponse:
    """Show how each channel does, as the gateway's processes see it."""
    # Customers' own keys are theirs to look after.
    rows = (
        Channel.objects.filter(own_key="")
        .select_related("provider", "dedicated_to")
        .order_by("priority", "provider", "name", "pk")
    )
    rows = rows.prefetch_related(
        Prefetch("credentials", queryset=Credential.objects.order_by("created_at", "pk"))
    )
    page = Paginator(rows, _PER_PAGE).get_page(request.GET.get("page"))
    try:
        seen, course, tested = channel_reports.read(), channel_course.read(), channel_tests.read()
    except RedisError:
        seen, course, tested = {}, {}, {}
        messages.warning(request, "Valkey does not answer, so nothing is known of the present moment.")
    lines = [
        Line(
            each,
            list(each.credentials.all()),
            seen.get(each.pk),
            tuple(course.get(each.pk, ())),
            tested.get(each.pk),
        )
        for each in page
    ]
    context = {**admin.site.each_context(request), "title": "Channels now", "lines": lines, "page": page}
    return TemplateResponse(request, "admin/catalog/channels_now.html", context)


@require_POST
@permission_required("catalog.change_channel", raise_exception=True)
def test(request: HttpRequest, channel_id: str) -> HttpResponse:
    """Ask a channel one cheap question with each of its credentials, and say what came of it."""
    channel = get_object_or_404(Channel, pk=channel_id, own_key="")
    try:
        tested = channel_tests.ask(channel)
    except channel_probes.NothingToAsk:
        messages.warning(
            request, "Nothing to ask: it serves no model for conversation, or no credential opens."
        )
    else:
        for each in tested:
            level = messages.SUCCESS if each.probed.is_well else messages.ERROR
            words = f"{each.credential.name}: {each.probed.words} {each.probed.seconds * 1_000:,.0f} ms."
            messages.add_message(request, level, words)
    return redirect("admin:catalog_channel_change", channel.pk)


@require_POST
@permission_required("catalog.change_channel", raise_exception=True)
def test_all(request: HttpRequest) -> HttpResponse:
    """Have workers test all channels in service; the table shows what comes of it."""
    try:
        due = channel_tests.begin_all()
        for channel_id in due:
            tasks.test_channel.apply_async((channel_id,), expires=channel_tests.PAUSE_S * 5)
    except (RedisError, OperationalError):
        messages.error(request, "Valkey does not answer, so nothing is tested.")
        return redirect("channels-now")
    if due:
        messages.success(request, f"{len(due)} channels are being tested. Load this page again in a moment.")
    else:
        messages.warning(request, "A test of all has just begun, or no channel is in service.")
    return redirect("channels-now")


@require_POST
@permission_required("catalog.change_channel", raise_exception=True)
def weigh(request: HttpRequest) -> HttpResponse:
    """Give the channels of a page their weights."""
    try:
        weights = {
            name.removeprefix(_WEIGHT): _weight(value)
            for name, value in request.POST.items()
            if name.startswith(_WEIGHT)
        }
        changed = set_weights(weights=weights, reason=request.POST.get("reason", ""))
    except NoReason:
        messages.error(request, "Nothing was changed. Write the reason beside the button.")
    except ValueError:
        messages.error(
            request, f"Nothing was changed. A weight is a whole number from 1 to {_MOST_WEIGHT:,}."
        )
    else:
        messages.success(request, f"{len(changed)} channels have another weight.")
    return redirect("channels-now")


def _weight(text: object) -> int:
    weight = int(str(text))
    if not 0 < weight <= _MOST_WEIGHT:
        raise ValueError
    return weight
