"""Budgets: who may set them, and which are in force for a key."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from accounts import budgets, keys
from accounts.models import ApiKey, Budgeted, Membership, Organization, User

SET = {"budget_day_nano": 1, "budget_week_nano": 2, "budget_month_nano": 3, "budget_total_nano": 4}


def make_key(organization: Organization, maker: User | None) -> ApiKey:
    key, _ = keys.create(organization=organization, name="k", created_by=maker)
    return key


def test_a_key_counts_for_the_member_who_created_it(
    organization: Organization, ada: User, cleo: User
) -> None:
    of_cleo = Membership.objects.create(user=cleo, organization=organization)
    budgets.set_member(membership=of_cleo, by=ada, **SET)

    assert budgets.in_force(make_key(organization, ada)) == ((), "")
    assert budgets.in_force(make_key(organization, None)) == ((), "")
    flat, member = budgets.in_force(make_key(organization, cleo))
    assert member == f"user_{cleo.pk}"
    assert flat == (member, "day", 1, member, "week", 2, member, "month", 3, member, "lifetime", 4)


def test_who_has_left_has_no_budget_any_more(organization: Organization, ada: User, cleo: User) -> None:
    of_cleo = Membership.objects.create(user=cleo, organization=organization)
    budgets.set_member(membership=of_cleo, by=ada, budget_day_nano=1)
    key = make_key(organization, cleo)
    of_cleo.delete()

    assert budgets.in_force(key) == ((), "")


def test_a_budget_elsewhere_is_none_here(organization: Organization, ada: User, cleo: User) -> None:
    elsewhere = Organization.objects.create(name="Elsewhere", plan=organization.plan)
    Membership.objects.create(user=cleo, organization=elsewhere, budget_day_nano=1)

    assert budgets.in_force(make_key(organization, cleo)) == ((), "")


def test_only_owners_set_budgets(organization: Organization, ada: User, cleo: User) -> None:
    of_cleo = Membership.objects.create(user=cleo, organization=organization)

    with pytest.raises(budgets.NotAnOwner):
        budgets.set_organization(organization=organization, by=cleo, budget_day_nano=1)
    with pytest.raises(budgets.NotAnOwner):
        budgets.set_member(membership=of_cleo, by=cleo, budget_day_nano=1)

    for budgeted in (organization, of_cleo):
        budgeted.refresh_from_db()
        assert budgeted.budgets == {}


@pytest.mark.parametrize("name", SET)
@pytest.mark.parametrize("nano", [-1, budgets.MOST_NANO + 1])
def test_no_budget_is_below_zero_or_beyond_all_reason(
    organization: Organization, ada: User, name: str, nano: int
) -> None:
    with pytest.raises(budgets.OutOfRange) as refusal:
        budgets.set_organization(organization=organization, by=ada, **{name: nano})

    assert refusal.value.field == name


@pytest.mark.parametrize("name", SET)
def test_the_database_refuses_a_budget_below_zero_of_anybody(organization: Organization, name: str) -> None:
    make_key(organization, None)
    tables: tuple[type[Budgeted], ...] = (ApiKey, Membership, Organization)
    for table in tables:
        with pytest.raises(IntegrityError, match="budgets_not_negative"), transaction.atomic():
            table._default_manager.update(**{name: -1})


def test_all_that_have_a_budget_are_found(organization: Organization, ada: User, cleo: User) -> None:
    key, _ = keys.create(organization=organization, name="k", budget_week_nano=1)
    make_key(organization, ada)
    revoked, _ = keys.create(organization=organization, name="r", budget_day_nano=1)
    keys.revoke(key=revoked, by=ada)
    assert [subject for subject, _ in budgets.subjects(organization)] == [key.pk]

    Membership.objects.create(user=cleo, organization=organization, budget_total_nano=0)
    budgets.set_organization(organization=organization, by=ada, budget_month_nano=9)

    assert [subject for subject, _ in budgets.subjects(organization)] == [
        organization.pk,
        f"user_{cleo.pk}",
        key.pk,
    ]
