"""``python -m bench.staff``: how long every list of the admin takes with a million requests and 100,000 organizations.

Every list that the admin site knows: its first and second page, each filter, a search for each thing that staff look for,
each order it offers, what its form completes while one types, and the page of one row. See README.md.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.pages import Limits, Measured, lines, logged_in, measure, own_servers

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.admin.views.main import ChangeList
    from django.test import Client

LIMITS = Limits(milliseconds=300, queries=20)
# Of each filter; more than that are the same question with another answer.
_CHOICES = 8


def paths(client: Client, words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what is opened, each with its name: every list in every way that it offers."""
    from django.contrib import admin  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    yield "index", reverse("admin:index")
    for model, table in admin.site._registry.items():
        name = f"{model._meta.app_label}.{model._meta.model_name}"
        begin = reverse(f"admin:{name.replace('.', '_')}_changelist")
        yield name, begin
        answer = client.get(begin)
        for view, query in _views(answer.context["cl"], words):
            yield f"{name}, {view}", f"{begin}{query}"
        yield from _single(name, answer.context["cl"], table)


def _views(shown: ChangeList, words: list[str]) -> Iterator[tuple[str, str]]:
    if shown.multi_page:
        yield "page 2", "?p=2"
        yield "last page", f"?p={shown.paginator.num_pages}"
    for each in shown.filter_specs:
        choices = [choice for choice in each.choices(shown) if not choice["selected"]]
        for choice in choices[:_CHOICES]:
            query = str(choice["query_string"])
            yield f"{each.title}: {choice['display']}", query
    for word in words if shown.search_fields else ():
        yield f"search {word}", f"?q={word}"
    # The order stands in the address by the number of the column, and the first is the one with the boxes.
    for number, column in enumerate(shown.list_display):
        if column != "action_checkbox" and shown.get_ordering_field(column) and _is_sortable(shown, column):
            yield f"by {column}", f"?o={number}"
            yield f"by {column}, descending", f"?o=-{number}"
    if shown.date_hierarchy:
        yield "a year", f"?{shown.date_hierarchy}__year=2026"


def _is_sortable(shown: ChangeList, column: Any) -> bool:
    return shown.sortable_by is None or column in shown.sortable_by


def _single(name: str, shown: ChangeList, table: ModelAdmin[Any]) -> Iterator[tuple[str, str]]:
    from django.contrib.admin.utils import quote  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    for row in list(shown.result_list)[:1]:
        change = reverse(f"admin:{name.replace('.', '_')}_change", args=[quote(row.pk)])
        yield f"{name}, one row", change
    for field in table.autocomplete_fields:
        asked = f"app_label={table.opts.app_label}&model_name={table.opts.model_name}&field_name={field}"
        yield f"{name}, completing {field}", f"{reverse('admin:autocomplete')}?{asked}&term=person"


def words_of_the_crowd() -> list[str]:
    """Return what staff look for: ids and addresses that are there, the begin of a name, and what nothing is called."""
    from accounts.models import ApiKey, Organization, User  # noqa: PLC0415
    from billing.models import Journal, TopUp, UsageRecord  # noqa: PLC0415

    middle = (
        User.objects.order_by("-pk")[1_000:1_001].get()
        if User.objects.count() > 2_000
        else User.objects.all()[0]
    )
    rows = [
        Organization.objects.order_by("-pk")[0],
        # Whose records are all there are, and who has none.
        Organization.objects.order_by("pk")[0],
        *(model._default_manager.order_by("-pk")[0] for model in (ApiKey, UsageRecord, Journal, TopUp)),
    ]
    return [middle.email, "Works", *(str(row.pk) for row in rows), "nothing-is-called-so"]


def _run(records: int, organizations: int, requests: int) -> list[Measured]:
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.test.utils import setup_test_environment, teardown_test_environment  # noqa: PLC0415

    from accounts import people  # noqa: PLC0415
    from accounts.staff import SET_UP  # noqa: PLC0415
    from bench import crowd, filling  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    call_command("load_catalog", verbosity=0)
    begun = time.monotonic()
    filled = filling.fill(records=records)
    rows = crowd.crowd(organizations) + crowd.the_rest(200)
    filling.analyze()
    print(
        f"{records:,} records and {rows:,} other rows in {time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    root = people.ensure_verified(email="root@example.com", is_staff=True)
    client = logged_in(root)
    _prove_factor(client, root, SET_UP)
    words = [*words_of_the_crowd(), filled.organization.pk, filled.owner.email]
    # Only then do answers tell what they were made of; it costs time, so it ends before the first is timed.
    setup_test_environment()
    wanted = list(paths(client, words))
    teardown_test_environment()
    gc.collect()
    gc.freeze()
    return [measure(client, name, path, requests=requests, limits=LIMITS) for name, path in wanted]


def _prove_factor(client: Client, root: Any, mark: str) -> None:
    """Let the session have proven a second factor, so that the guard of the admin is measured with the pages."""
    from allauth.mfa.models import Authenticator  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415

    from accounts.session_store import SessionStore  # noqa: PLC0415

    Authenticator.objects.create(user=root, type=Authenticator.Type.TOTP, data={})
    session = SessionStore.of_token(client.cookies[settings.SESSION_COOKIE_NAME].value)
    session[mark] = True
    session.save()


def summary(measured: list[Measured]) -> Iterator[str]:
    """Write each list in one line, by its slowest view, and what is beyond the limits in full."""
    slowest: dict[str, Measured] = {}
    for each in measured:
        name = each.name.split(",")[0]
        if name not in slowest or each.percentile(95) > slowest[name].percentile(95):
            slowest[name] = each
    yield from lines(sorted(slowest.values(), key=lambda each: -each.percentile(95)))
    beyond = [each for each in measured if not each.is_within]
    yield f"{len(measured)} views of {len(slowest)} lists; {len(beyond)} beyond the limits"
    yield from lines(beyond) if beyond else ()


def main() -> int:
    """Fill, measure, print; 1 when a limit is passed and ``--strict`` is given."""
    parser = argparse.ArgumentParser(prog="python -m bench.staff", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="usage records (1,000,000)")
    parser.add_argument("--organizations", type=int, default=100_000, help="organizations (100,000)")
    parser.add_argument("--requests", type=int, default=20, help="requests to each page (20)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a limit is passed")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fastanchor-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with own_servers(folder):
            measured = _run(words.records, words.organizations, words.requests)
    print("\n".join(summary(measured)))
    print(
        f"load {os.getloadavg()[0]:.1f}; limits: p95 below {LIMITS.milliseconds} ms, at most {LIMITS.queries} queries"
    )
    return int(words.strict and not all(each.is_within for each in measured))


if __name__ == "__main__":
    sys.exit(main())
