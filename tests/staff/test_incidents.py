"""What operations write of an incident is what the world reads on the status page and in its feed."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from catalog.models import Incident
from fastanchor.pages import status_board
from tests.staff.conftest import Hire

UPDATES = "updates"


@pytest.fixture(autouse=True)
def _fresh_status(monkeypatch: pytest.MonkeyPatch) -> None:
    status_board.forget()
    monkeypatch.setattr(status_board, "KEPT_S", 0.0)


def written(state: str, body: str, **more: str) -> dict[str, str]:
    """Return the form of an incident with one new update."""
    form = {"title": "Errors at Anthropic", "impact": "partial", "reason": "It burns", **more}
    form |= {"started_at_0": "2026-11-30", "started_at_1": "08:00:00"}
    form |= {f"{UPDATES}-TOTAL_FORMS": "1", f"{UPDATES}-INITIAL_FORMS": "0"}
    return form | {
        f"{UPDATES}-0-state": state,
        f"{UPDATES}-0-at_0": "2026-11-30",
        f"{UPDATES}-0-at_1": "08:05:00",
        f"{UPDATES}-0-body": body,
    }


def test_an_incident_written_by_operations_is_on_the_status_page_and_in_the_feed(
    client: Client, hire: Hire
) -> None:
    client.force_login(hire("operations"))

    answer = client.post(
        reverse("admin:catalog_incident_add"), written("investigating", "We see **more errors** than usual.")
    )

    assert answer.status_code == 302, answer.context["errors"]
    assert f">{'Errors at Anthropic'}</a>" in client.get("/admin/").content.decode()
    client.logout()
    for name in ("status", "status-feed"):
        page = client.get(reverse(name)).content.decode()
        assert "Errors at Anthropic" in page
        assert "more errors" in page


def test_its_end_is_told_too(client: Client, hire: Hire) -> None:
    client.force_login(hire("operations"))
    incident = Incident.objects.create(title="Errors at Anthropic", impact="partial")

    client.post(
        reverse("admin:catalog_incident_change", args=[incident.pk]),
        written("resolved", "All is well again."),
    )

    incident.refresh_from_db()
    assert incident.resolved_at is not None
    assert "All is well again." in client.get(reverse("status-feed")).content.decode()
    assert "Errors at Anthropic (Resolved)" in client.get(reverse("status-feed")).content.decode()


def test_finance_writes_no_incidents(client: Client, hire: Hire) -> None:
    client.force_login(hire("finance"))

    assert client.get(reverse("admin:catalog_incident_add")).status_code == 403
