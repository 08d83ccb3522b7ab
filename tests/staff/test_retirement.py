"""Models end on their date, those who use them are told once before, and their callers go on being served."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.audit_entry import AuditEntry
from accounts.models import User
from catalog import retirement, tasks
from catalog.models import CatalogModel, LifeCycle, ModelAlias, Provider
from catalog.publish import build_snapshot
from catalog.retirement_tables import RetirementMail
from fastanchor import retirement_mails
from tests.billing.cast import make_organization
from tests.catalog.builders import build_model_of
from tests.staff.cast import desk, used

pytestmark = pytest.mark.django_db


@pytest.fixture
def old() -> CatalogModel:
    acme = Provider.objects.create(slug="acme", name="Acme")
    build_model_of(acme, "new")
    build_model_of(acme, "ear", kind="transcription")
    ends = timezone.now() + timedelta(days=30)
    return build_model_of(acme, "old", life_cycle=LifeCycle.DEPRECATED, retires_at=ends)


def _end(model: CatalogModel) -> None:
    CatalogModel.objects.filter(pk=model.pk).update(retires_at=timezone.now() - timedelta(seconds=1))
    tasks.retire_due_models()


def test_a_model_is_sold_until_its_date_and_refused_from_then_on(old: CatalogModel) -> None:
    tasks.retire_due_models()
    before = build_snapshot().models

    _end(old)
    tasks.retire_due_models()

    assert "old" in before
    assert "old" not in build_snapshot().models
    entry = AuditEntry.objects.get(what="catalogmodel.retired")
    assert (entry.before["life_cycle"], entry.after["life_cycle"]) == ("deprecated", "retired")


def test_an_announced_model_is_not_sold_yet(old: CatalogModel) -> None:
    CatalogModel.objects.filter(pk="new").update(life_cycle=LifeCycle.ANNOUNCED)

    assert "new" not in build_snapshot().models


def test_what_stands_in_answers_only_once_the_model_is_retired(old: CatalogModel) -> None:
    ModelAlias.objects.create(name="old-latest", model=old)
    catalog = desk("catalog")
    form = {"successor": "new", "reason": "Acme ends it."}

    answer = catalog.post(reverse("retirement-stand-in", args=["old"]), form)
    before = build_snapshot().models["old"].id
    _end(old)

    assert answer.status_code == 302
    assert before == "old"
    after = build_snapshot().models
    assert (after["old"].id, after["old-latest"].id) == ("new", "new")
    old.refresh_from_db()
    assert old.replaced_by_id == "new"
    entry = AuditEntry.objects.get(what="catalogmodel.stood_in")
    assert (entry.email, entry.reason) == ("catalog@example.org", "Acme ends it.")


@pytest.mark.parametrize(
    ("successor", "reason"), [("old", "It is the same."), ("ear", "Another kind."), ("new", " ")]
)
def test_what_cannot_stand_in_is_refused(old: CatalogModel, successor: str, reason: str) -> None:
    answer = desk("catalog").post(
        reverse("retirement-stand-in", args=["old"]), {"successor": successor, "reason": reason}
    )

    assert answer.status_code == 422
    assert not ModelAlias.objects.exists()


def test_who_uses_a_model_is_told_once_for_each_date(old: CatalogModel) -> None:
    users = [make_organization(f"{name}@example.org") for name in ("ada", "ben", "cleo")]
    used(users[0], "old", requests=7)
    used(users[1], "old", requests=4)
    used(users[2], "new")
    used(users[2], "old", days_ago=31)
    catalog = desk("catalog")
    path = reverse("retirement-notice", args=["old"])

    shown = catalog.get(path).content.decode()
    assert RetirementMail.objects.count() == 0
    catalog.post(path)
    again = catalog.post(path, follow=True).content.decode()
    sent = retirement_mails.send_due()

    assert "Send 2 notices" in shown
    assert "nobody is told twice" in again
    assert (sent, retirement_mails.send_due()) == (2, 0)
    assert sorted(letter.to[0] for letter in mail.outbox) == ["ada@example.org", "ben@example.org"]
    (letter,) = [each for each in mail.outbox if each.to == ["ada@example.org"]]
    assert "7 requests in the last 30 days" in letter.body
    assert letter.subject == f"Old ends on {old.retires_at:%Y-%m-%d}"
    assert AuditEntry.objects.get(what="catalogmodel.notice").after["organizations"] == 2


def test_a_new_date_is_told_again(old: CatalogModel) -> None:
    used(make_organization(), "old")
    catalog, path = desk("catalog"), reverse("retirement-notice", args=["old"])
    catalog.post(path)
    CatalogModel.objects.filter(pk="old").update(retires_at=timezone.now() + timedelta(days=60))

    catalog.post(path)

    assert retirement_mails.send_due() == 2


def test_a_model_without_a_date_has_nothing_to_tell(old: CatalogModel) -> None:
    used(make_organization(), "new")

    answer = desk("catalog").post(reverse("retirement-notice", args=["new"]), follow=True)

    assert "Nobody was told" in answer.content.decode()
    assert not RetirementMail.objects.exists()


def test_the_calendar_shows_who_still_uses_what_ends_in_few_queries(
    old: CatalogModel, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    used(make_organization(), "old", requests=41, cost_nano=5_000_000_000)
    retirement.stand_in(
        model=old,
        successor=CatalogModel.objects.get(pk="new"),
        reason="It ends.",
        by=User.objects.create_user("x@example.org"),
    )
    catalog = desk("catalog")

    with django_assert_max_num_queries(20):
        page = catalog.get(reverse("retirement-calendar")).content.decode()

    for shown in ("old", "41", "$5.00", "new", "Deprecated"):
        assert shown in page


@pytest.mark.parametrize("role", ["support", "finance", "operations"])
def test_other_roles_may_look_and_do_nothing(old: CatalogModel, role: str) -> None:
    client = desk(role)

    assert client.get(reverse("retirement-calendar")).status_code == 200
    assert client.post(reverse("retirement-notice", args=["old"])).status_code == 403
    answer = client.post(reverse("retirement-stand-in", args=["old"]), {"successor": "new", "reason": "x"})
    assert answer.status_code == 403
    assert not ModelAlias.objects.exists()
