"""Every route by every kind of caller with every method: nobody reads or changes what is another's, and nothing breaks.

The routes come from the URL map, so a new one is in it by itself. In the suite each caller tries GET and POST everywhere
and the rarer methods by turns; ``--full`` tries all. What programs ask with keys is in ``tests/contract/test_key_matrix.py``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from accounts import people
from accounts.models import ApiKey, Membership, Organization, Role, User
from tests.pages.stripe import Card
from tests.pages.test_isolation import NAMED, Belongings
from tests.pages.urlmap import Route, routes

SAFE, RARE = ("GET", "POST"), ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
CALLERS = ("anonymous", "stranger", "member", "staff without a factor", "plain staff", "expired session")
# Streams, which the synchronous client cannot read; they are looked at in their own tests.
STREAMS = {"live", "activity-live", "billing:export"}
# Hot endpoints are for keys and want the running gateway.
FOR_KEYS = (
    "/v1",
    "/chat/",
    "/responses",
    "/messages",
    "/embeddings",
    "/completions",
    "/images",
    "/audio",
    "/moderations",
)
CANARY, ORGANIZATION = "Canary of Ada", "Works of Ada"
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)", re.IGNORECASE)
_OWN_TRACKS = re.compile(r"django_session|usersessions_usersession|accounts_auditentry", re.IGNORECASE)
pytestmark = pytest.mark.timeout(900)


class Adas:
    """What is ada's: parameters that name it, words that tell of it, rows that hold it."""

    def __init__(self, card: Card, organization: Organization, key: ApiKey) -> None:
        Organization.objects.update(name=ORGANIZATION)
        ApiKey.objects.update(name=CANARY)
        self.organization = organization
        self.owner = organization.members.get()
        belongings = Belongings(card, organization, key)
        made = cache(lambda make: make(belongings))
        # Before any other top-up, for it is found as the only one.
        made(Belongings.invoice)
        self.parameters: dict[str, Any] = {name: made(make) for name, make in NAMED.items()}
        self.common = {part: value for given in self.parameters.values() for part, value in given.items()}
        ids = [str(value) for value in self.common.values() if len(str(value)) > 8]
        self.words = [CANARY, ORGANIZATION, organization.pk, self.owner.email, *ids]

    def path(self, route: Route) -> str:
        given = self.parameters.get(route.name, {})
        fitting = {name: given.get(name, self.common.get(name, "1")) for name in route.parameters}
        if route.name.startswith("admin:accounts_organization"):
            fitting |= {"object_id": self.organization.pk}
        return route.template.format(**fitting)

    def rows(self) -> list[Any]:
        """Return everything that is stored of ada and her organization."""
        found: list[Any] = []
        for model in apps.get_models():
            names = {field.name: field.related_model for field in model._meta.get_fields() if field.concrete}
            if model in {Organization, User}:
                own = self.organization.pk if model is Organization else self.owner.pk
                found.append(list(model._default_manager.filter(pk=own).values()))
            elif names.get("organization") is Organization:
                found.append(list(model._default_manager.filter(organization=self.organization).values()))
            elif names.get("dedicated_to") is Organization:
                found.append(list(model._default_manager.filter(dedicated_to=self.organization).values()))
            elif names.get("user") is User and model._meta.app_label != "usersessions":
                found.append(list(model._default_manager.filter(user=self.owner).values()))
        return found


@pytest.fixture
def adas(card: Card, organization: Organization, key: ApiKey) -> Adas:
    return Adas(card, organization, key)


def caller(kind: str, adas: Adas, settings: Settings) -> Client:
    browser = Client(raise_request_exception=False)
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_of_the_matrix"]
    settings.STAFF_SECOND_FACTOR = kind == "staff without a factor"
    match kind:
        case "stranger":
            browser.force_login(people.ensure_verified(email="cleo@example.com"))
        case "member":
            ben = people.ensure_verified(email="ben@example.com")
            Membership.objects.create(user=ben, organization=adas.organization, role=Role.MEMBER)
            browser.force_login(ben)
            # Who is in an organization knows what it is called.
            adas.words.remove(ORGANIZATION)
        case "staff without a factor":
            browser.force_login(people.ensure_verified(email="root@example.com", is_staff=True))
        case "plain staff":
            # Without a single permission.
            browser.force_login(User.objects.create_user("clerk@example.com", is_staff=True))
        case "expired session":
            browser.force_login(adas.owner)
            Session.objects.all().delete()
        case _:
            pass
    return browser


class Written:
    """Tells whether a request wrote anything but the tracks that every request leaves."""

    def __init__(self) -> None:
        self.is_so = False

    def __call__(self, execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if _WRITES.match(sql) and not _OWN_TRACKS.search(sql):
            self.is_so = True
        return execute(sql, params, many, context)


@contextlib.contextmanager
def undone() -> Iterator[Written]:
    """Undo what happens meanwhile, so that every request finds the same world."""
    written = Written()
    around = transaction.atomic()
    # As the test runner's own: inside it a transaction may call itself the outermost.
    around._from_testcase = True  # type: ignore[attr-defined]
    with around:
        with connection.execute_wrapper(written):
            yield written
        transaction.set_rollback(True)


def tries(kind: str, number: int, *, is_full: bool) -> tuple[str, ...]:
    if is_full:
        return SAFE + RARE
    return (*SAFE, RARE[number % len(RARE)]) if kind in {"anonymous", "stranger"} else SAFE


def text_of(answer: Any) -> str:
    if getattr(answer, "is_async", False):
        return f"an endless stream of {CANARY}"
    body = b"".join(answer) if answer.streaming else answer.content
    return str(body.decode(errors="replace"))


def faults_of(answer: Any, written: Written, adas: Adas, before: list[Any]) -> Iterator[str]:
    if answer.status_code >= 500:
        yield f"answers {answer.status_code}"
    # What was asked for stands in the address of where a stranger is sent.
    text = text_of(answer) if answer.status_code < 300 else ""
    for word in adas.words:
        if word in text:
            yield f"tells {word}"
    if written.is_so and adas.rows() != before:
        yield "changes what is ada's"


@pytest.mark.parametrize("kind", CALLERS)
def test_nobody_reads_or_changes_what_is_another_s(
    adas: Adas, kind: str, settings: Settings, catalog: None, *, is_full: bool
) -> None:
    browser, before, found, count = caller(kind, adas, settings), adas.rows(), [], 0
    for number, route in enumerate(routes()):
        path = adas.path(route)
        if path.startswith(FOR_KEYS) or (
            route.name in STREAMS and kind not in {"anonymous", "expired session"}
        ):
            continue
        for method in tries(kind, number, is_full=is_full):
            count += 1
            with undone() as written:
                answer = browser.generic(method, path)
                found += [f"{method} {path}: {each}" for each in faults_of(answer, written, adas, before)]

    assert count > 300
    assert found == []


def test_the_matrix_covers_the_whole_url_map(adas: Adas) -> None:
    known = routes()

    paths = {adas.path(route) for route in known}
    assert len(known) > 200
    assert len(paths) > 150
    assert not [path for path in paths if re.search(r"[<>{}()\\^$]", path)]
    for part in (
        "/admin/",
        "/billing/",
        "/keys/",
        "/settings/",
        "/accounts/",
        "/v1/",
        "/webhooks/",
        "/dashboard/",
    ):
        assert any(path.startswith(part) for path in paths), part


def test_ada_herself_would_be_told(adas: Adas, card: Card) -> None:
    """The matrix would see a leak: what it looks for is there for her."""
    page = card.browser.get("/keys/").content.decode()

    assert CANARY in page


@pytest.mark.parametrize("kind", ["anonymous", "stranger", "member", "expired session"])
def test_no_page_of_staff_opens_for_anybody_else(adas: Adas, kind: str, settings: Settings) -> None:
    browser = caller(kind, adas, settings)

    for route in routes():
        if route.template.startswith("/admin/") and route.name != "admin:login":
            answer = browser.get(adas.path(route))
            assert answer.status_code in {302, 301}, adas.path(route)
            assert "/login/" in answer["Location"] or answer["Location"].endswith("/"), answer["Location"]
