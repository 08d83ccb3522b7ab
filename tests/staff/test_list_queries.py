"""A list of the admin asks the same few things of the database however long it is; a new table is in this by itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import people
from accounts.staff_lists import BoundedPaginator
from bench import crowd
from bench.staff import LIMITS

FEW, MANY = 10, 200
# What more rows may add: which filters are worth offering.
_LEEWAY = 2
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
TABLES = [pytest.param(model, id=model._meta.label) for model in admin.site._registry]


@pytest.fixture
def desk(client: Client, db: None) -> Client:
    client.force_login(people.ensure_verified(email="root@example.com", is_staff=True))
    return client


def queries(desk: Client, model: type[Model], **query: str) -> int:
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    with CaptureQueriesContext(connection) as captured:
        assert desk.get(page, query).status_code == 200
    return len(captured)


@pytest.mark.parametrize("model", TABLES)
def test_a_list_asks_little_and_no_more_for_more_rows(desk: Client, model: type[Any]) -> None:
    crowd.fill_with_its_own(model, FEW)
    few = queries(desk, model)
    crowd.fill_with_its_own(model, MANY)
    many = queries(desk, model)
    searched = queries(desk, model, q="Works")

    assert many <= few + _LEEWAY
    assert max(many, searched) <= LIMITS.queries


@pytest.mark.parametrize("model", TABLES)
def test_a_list_counts_no_further_than_anybody_pages(model: type[Any]) -> None:
    table = admin.site._registry[model]

    assert issubclass(table.paginator, BoundedPaginator)
    assert table.show_full_result_count is False
    assert table.list_per_page <= 50
