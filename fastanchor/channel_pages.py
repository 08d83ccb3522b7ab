"""Staff's pages about channels that compose apps: how they do now, and a test of one."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST, require_safe
from redis.exceptions import RedisError

from catalog.models import Channel, Credential
from fastanchor import channel_probes, channel_reports
from fastanchor.channel_reports import Seen

_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One channel on the page."""

    channel: Channel
    credentials: list[Credential]
    seen: Seen | None

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
        seen = channel_reports.read()
    except RedisError:
        seen = {}
        messages.warning(request, "Valkey does not answer, so nothing is known of the present moment.")
    lines = [Line(each, list(each.credentials.all()), seen.get(each.pk)) for each in page]
    context = {**admin.site.each_context(request), "title": "Channels now", "lines": lines, "page": page}
    return TemplateResponse(request, "admin/catalog/channels_now.html", context)


@require_POST
@permission_required("catalog.change_channel", raise_exception=True)
def test(request: HttpRequest, channel_id: str) -> HttpResponse:
    """Ask a channel one cheap question with each of its credentials, and say what came of it."""
    channel = get_object_or_404(Channel, pk=channel_id, own_key="")
    try:
        tested = channel_probes.ask_channel(channel)
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
