"""The status page: how the platform is and was, for everybody, as a page, as JSON and as a feed of incidents."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from billing.health_reading import DAYS, Latency, Standing
from catalog import incidents
from catalog.models import Incident
from fastanchor.lib.markdown import rendered
from fastanchor.pages import status_board
from fastanchor.pages.status_board import ProviderLine

_FEED_LENGTH = 30


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show how each provider and model does, what is wrong now, and what was; ``?page=`` turns the history."""
    board, providers = status_board.board()
    ongoing = incidents.open_incidents() if board.has_books else []
    page = incidents.history(page=request.GET.get("page", "1")) if board.has_books else None
    gathered = incidents.gather([*ongoing, *(page or [])])
    state, told = status_board.overall(board, ongoing)
    context = {
        "board": board,
        "state": state,
        "told": told,
        "open_incidents": gathered[: len(ongoing)],
        "past_incidents": gathered[len(ongoing) :],
        "page": page,
        "providers": providers,
        "days": DAYS,
    }
    return render(request, "site/status.html", context)


@require_safe
@cache_control(public=True, max_age=10)
def status_json(request: HttpRequest) -> JsonResponse:
    """Tell the same to programs."""
    board, _ = status_board.board()
    ongoing = incidents.gather(incidents.open_incidents()) if board.has_books else []
    state, told = status_board.overall(board, ongoing)
    answer = {
        "at": board.at.isoformat(timespec="seconds"),
        "status": {"indicator": state.tone, "description": state.words, "told_by": told},
        "parts": [{"name": name, "answers": answers} for name, answers in board.parts],
        "incidents": [_incident(each) for each in ongoing],
        "providers": [_provider(line) for line in board.providers],
    }
    return JsonResponse(answer)


@require_safe
@cache_control(public=True, max_age=60)
def feed(request: HttpRequest) -> HttpResponse:
    """Tell of incidents as an Atom feed, each with all its updates."""
    link = request.build_absolute_uri(reverse("status"))
    atom = Atom1Feed(
        title="FastAnchor status",
        link=link,
        description="",
        feed_url=request.build_absolute_uri(request.path),
    )
    for incident in incidents.newest(limit=_FEED_LENGTH):
        updates = list(incident.updates.all())
        atom.add_item(
            title=f"{incident.title} ({incident.get_state_display()})",
            link=f"{link}#{incident.pk}",
            description="".join(
                f"<p><strong>{each.get_state_display()}</strong>, {each.at:%Y-%m-%d %H:%M} UTC</p>"
                f"{rendered(each.body)}"
                for each in updates
            ),
            unique_id=f"{link}#{incident.pk}",
            pubdate=incident.started_at,
            updateddate=updates[0].at if updates else incident.started_at,
        )
    return HttpResponse(atom.writeString("utf-8"), content_type=atom.content_type)


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.pk,
        "title": incident.title,
        "impact": incident.impact,
        "state": incident.state,
        "started_at": incident.started_at.isoformat(timespec="seconds"),
        "providers": [each.pk for each in incident.affected_providers.all()],
        "models": [each.pk for each in incident.affected_models.all()],
        "updates": [
            {"state": each.state, "at": each.at.isoformat(timespec="seconds"), "body": each.body}
            for each in incident.updates.all()
        ],
    }


def _provider(line: ProviderLine) -> dict[str, Any]:
    return {
        "id": line.slug,
        "name": line.name,
        "state": line.state.words,
        **_standings(line.day, line.week, line.month),
        "days": [{"day": each.day.isoformat(), **_standing(each.standing)} for each in line.days],
        "models": [
            {
                "id": model.id,
                "state": model.state.words,
                **_standings(model.health.day, model.health.week, model.health.month),
                "first_token_ms": _latency(model.health.first_token),
                "whole_ms": _latency(model.health.whole),
            }
            for model in line.models
        ],
        "models_without_traffic": line.quiet,
    }


def _standings(day: Standing, week: Standing, month: Standing) -> dict[str, Any]:
    return {"last_24_hours": _standing(day), "last_7_days": _standing(week), "last_30_days": _standing(month)}


def _standing(standing: Standing) -> dict[str, int | None]:
    """Write counts and hundredths of a percent; null, never a hundred, where there was nothing."""
    return {
        "served": standing.served,
        "failed": standing.failed,
        "uptime_basis_points": standing.basis_points,
    }


def _latency(latency: Latency) -> dict[str, int | None]:
    return {"median": latency.median_ms, "p95": latency.p95_ms}
