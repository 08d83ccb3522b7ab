"""Incidents: staff writes updates, the newest of which says how far we are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from catalog import incidents
from catalog.models import Incident, IncidentState, Provider
from tests.catalog.builders import BuildModel


def _incident(title: str = "Slow", *, state: str = "investigating", hours_ago: int = 0) -> Incident:
    at = timezone.now() - timedelta(hours=hours_ago)
    incident = Incident.objects.create(title=title, impact="degraded", started_at=at)
    incident.updates.create(state=state, body=f"*{title}*", at=at)
    incidents.follow_updates(incident)
    return incident


def test_the_newest_update_says_how_far_we_are(db: None) -> None:
    incident = _incident(hours_ago=3)
    earlier = timezone.now() - timedelta(hours=2)
    incident.updates.create(state="resolved", body="Over.", at=earlier)
    incidents.follow_updates(incident)
    resolved = incidents.open_incidents()

    incident.updates.create(state="identified", body="It came back.")
    incidents.follow_updates(incident)

    assert (resolved, incidents.open_incidents()) == ([], [incident])
    incident.refresh_from_db()
    assert (incident.state, incident.resolved_at) == (IncidentState.IDENTIFIED, None)


def test_an_incident_is_resolved_since_its_last_update(db: None) -> None:
    incident = _incident(state="resolved", hours_ago=5)

    assert incident.resolved_at == incident.started_at
    assert list(incidents.history()) == [incident]
    incident.state = "monitoring"
    with pytest.raises(IntegrityError):
        incident.save()


def test_the_history_is_paged_newest_first_and_reads_no_more_than_its_page(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for hours in range(25):
        _incident(str(hours), state="resolved", hours_ago=hours)

    with django_assert_num_queries(5):
        page = incidents.history(page=3)
        told = [
            (each.title, [one.body for one in each.updates.all()]) for each in incidents.gather(list(page))
        ]

    assert told == [(str(hours), [f"*{hours}*"]) for hours in range(20, 25)]
    assert page.paginator.num_pages == 3


def test_staff_opens_and_resolves_an_incident(acme: Provider, build_model: BuildModel) -> None:
    build_model("one")
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff@example.org"))
    form = {
        "title": "Acme is slow", "impact": "degraded", "started_at_0": "2026-11-30", "started_at_1": "10:00:00",
        "affected_providers": ["acme"], "affected_models": ["one"],
        "updates-TOTAL_FORMS": 1, "updates-INITIAL_FORMS": 0, "updates-0-state": "identified",
        "updates-0-at_0": "2026-11-30", "updates-0-at_1": "10:05:00", "updates-0-body": "They know.", "reason": "Many mails",
    }  # fmt: skip

    staff.post("/admin/catalog/incident/add/", form)

    incident = Incident.objects.get()
    assert (incident.state, incident.resolved_at) == ("identified", None)
    assert [each.pk for each in incident.affected_models.all()] == ["one"]
    update = incident.updates.get()
    follow = {
        "updates-TOTAL_FORMS": 2, "updates-INITIAL_FORMS": 1, "updates-0-id": update.pk, "updates-1-state": "resolved",
        "updates-1-at_0": "2026-11-30", "updates-1-at_1": "11:00:00", "updates-1-body": "Over.",
    }  # fmt: skip
    staff.post(f"/admin/catalog/incident/{incident.pk}/change/", form | follow)
    incident.refresh_from_db()
    assert (incident.state, incident.updates.count()) == ("resolved", 2)
    assert f"{incident.resolved_at:%H:%M}" == "11:00"
