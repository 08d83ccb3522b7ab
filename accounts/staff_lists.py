"""What makes the lists of staff quick however many rows there are: bounded counts, and searches that only use indexes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Collate, Upper
from django.http import HttpRequest

from accounts.models import Membership, Organization, User

# Counting more rows than anyone pages through would read the whole table.
MOST_COUNTED = 10_000
# Of those whose name or address begins with what was searched for.
MOST_NAMED = 500

if TYPE_CHECKING:
    # These are generic for the type checker only.
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _ModelAdmin, _Paginator = admin.ModelAdmin, Paginator


class BoundedPaginator(_Paginator):
    """Counts no further than ``MOST_COUNTED`` rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows that can be paged through."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:MOST_COUNTED].count()


class Paged(_ModelAdmin):
    """Reads a page's worth of rows, however many there are."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50


class QuickList(Paged):
    """Searches whole values in ``search_fields`` and whose rows they are.

    Each way of looking is asked for alone, so that each finds its index, and only those that find something make the
    condition. ``of_organization`` and ``of_user`` lead to whose a row is: those are found by the begin of the name or
    of a member's address as well, and by their id.
    """

    of_organization = ""
    of_user = ""

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Return what is searched; a list that is searched for whose its rows are has a field to search, too."""
        return super().get_search_fields(request) or tuple(filter(None, (self.of_organization, self.of_user)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that something names by the term."""
        term = search_term.strip()
        if not term:
            return queryset, False
        ways = [Q(**{name: term}) for name in self.search_fields]
        found = [way for way in (*ways, *self._of_somebody(term)) if _finds(queryset, way)]
        # An "or" over nothing would be everything.
        condition = found[0] if found else Q(pk__in=[])
        for each in found[1:]:
            condition |= each
        return queryset.filter(condition), False

    def _of_somebody(self, term: str) -> list[Q]:
        ways: list[Q] = []
        if self.of_organization and (organizations := organizations_called(term)):
            ways.append(Q(**{f"{self.of_organization}__in": organizations}))
        if self.of_user and (users := users_called(term)):
            ways.append(Q(**{f"{self.of_user}__in": users}))
        return ways


def organizations_called(term: str) -> list[str]:
    """Return ids of the organizations of an id, or whose name or a member's address begins with a term."""
    if term.startswith("org_"):
        return [term]
    named = beginning(Organization.objects.all(), "name", term).values_list("pk", flat=True)[:MOST_NAMED]
    memberships = Membership.objects.filter(user__in=users_called(term))
    of_members = memberships.values_list("organization_id", flat=True)[:MOST_NAMED]
    return sorted({*named, *of_members})


def users_called(term: str) -> list[int]:
    """Return ids of the users of an id, or whose address begins with a term."""
    number = term.removeprefix("user_")
    if number.isdecimal() and len(number) < 19:
        return [int(number)]
    return list(beginning(User.objects.all(), "email", term).values_list("pk", flat=True)[:MOST_NAMED])


def beginning(rows: QuerySet[Any], field: str, term: str) -> QuerySet[Any]:
    """Keep rows whose field begins with a term in any case; found by the indexes of ``Collate(Upper(field), "C")``."""
    found: QuerySet[Any] = rows.alias(shouted=Collate(Upper(field), "C")).filter(
        shouted__startswith=Upper(Value(term))
    )
    return found


def _finds(queryset: QuerySet[Any], way: Q) -> bool:
    try:
        return queryset.filter(way).order_by().exists()
    except (ValidationError, ValueError):
        # Words are no number and no date.
        return False
