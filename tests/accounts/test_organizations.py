from __future__ import annotations

import pytest
from django.apps import apps

from accounts import emails, organizations, people, plans
from accounts.models import Membership, Organization, Plan, Role, User
from tests.accounts.race import at_once


def test_the_three_plans_are_there_from_the_start(db: None) -> None:
    limits = {
        plan.code: (plan.requests_per_minute, plan.tokens_per_minute, plan.signup_credit_nano)
        for plan in Plan.objects.all()
    }

    assert limits == {
        "free": (5, 10_000, 5_000_000_000),
        "payg": (500, 1_000_000, 0),
        "enterprise": (5_000, 10_000_000, 0),
    }


def test_what_staff_made_of_a_plan_survives_a_second_installation(db: None) -> None:
    Plan.objects.filter(code="free").update(requests_per_minute=3)
    Plan.objects.filter(code="enterprise").delete()

    plans.add_missing_plans(apps.get_model("accounts", "Plan"))

    assert Plan.objects.get(code="free").requests_per_minute == 3
    assert Plan.objects.get(code="enterprise").is_custom


def test_a_user_has_one_personal_organization_on_the_plan_of_new_ones(ada: User) -> None:
    organization = organizations.create_personal(user=ada)

    assert organizations.of_user(ada) == organization == organizations.create_personal(user=ada)
    assert (organization.name, organization.plan_id, organization.is_personal) == ("ada", "free", True)
    assert ada.memberships.get().role == Role.OWNER


def test_a_user_made_by_other_means_gets_a_personal_organization_when_it_is_needed(db: None) -> None:
    user = User.objects.create_superuser("Root@Example.com", "secret")

    assert organizations.of_user(user).name == "root"


def test_being_a_member_of_a_personal_organization_does_not_make_it_ones_own(
    ada: User, organization: Organization, cleo: User
) -> None:
    Membership.objects.create(user=cleo, organization=organization, role=Role.MEMBER)

    assert organizations.of_user(cleo) != organization


@pytest.mark.django_db(transaction=True)
def test_two_first_requests_at_once_make_one_personal_organization() -> None:
    user = User.objects.create_user("ada@example.com")

    at_once(lambda: organizations.of_user(user), 6)

    assert Organization.objects.count() == 1


def test_a_plan_that_is_not_there_is_refused(ada: User, organization: Organization) -> None:
    with pytest.raises(organizations.UnknownPlan, match="gold"):
        organizations.change_plan(organization=organization, plan_code="gold", by=ada)
    with pytest.raises(organizations.UnknownPlan):
        organizations.create(name="Acme", plan_code="gold", owner=ada)

    assert Organization.objects.get().plan_id == "free"


def test_a_named_organization_belongs_to_its_owner_and_is_nobodys_personal_one(ada: User) -> None:
    acme = organizations.create(name="Acme", plan_code="enterprise", owner=ada)

    assert not acme.is_personal
    assert organizations.of_user(ada) != acme
    assert organizations.canonical_owner_email(acme) == "ada@example.com"


def test_the_owners_address_is_compared_in_canonical_spelling(db: None) -> None:
    user = people.ensure_verified(email="Ada.Love+2@GoogleMail.com")

    assert organizations.canonical_owner_email(organizations.of_user(user)) == "adalove@gmail.com"


def test_an_organization_nobody_owns_has_no_owners_address(ada: User, organization: Organization) -> None:
    ada.memberships.all().delete()

    with pytest.raises(organizations.NoOwner):
        organizations.canonical_owner_email(organization)


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("ada+shop@example.com", "ada@example.com"),
        ("a.d.a@example.com", "a.d.a@example.com"),
        ("a.d.a+x+y@gmail.com", "ada@gmail.com"),
        ("+ada@example.com", "+ada@example.com"),
        (" ada@example.com ", "ada@example.com"),
    ],
)
def test_one_mailbox_has_one_canonical_address(spelled: str, canonical: str) -> None:
    assert emails.canonical(spelled) == canonical


def test_an_existing_person_is_found_in_any_case_and_keeps_the_password(ada: User) -> None:
    again = people.ensure_verified(email="ADA@example.com", password="another one")

    assert again == ada
    assert again.password == ada.password
