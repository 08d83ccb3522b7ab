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
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from accounts import organizations, people
from accounts.models import ApiKey, Membership, Organization, Role, User
from tests.pages.stripe import Card
from tests.pages.test_isolation import NAMED, Belongings
from tests.pages.urlmap import Route, routes

SAFE, RARE = ("GET", "POST"), ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
CALLERS = ("anonymous", "stranger", "member", "staff without a factor", "plain staff", "expired session")
# Streams without an end, which a signed-in caller waits at; that nothing of others arrives there is shown in
# test_live.py and test_tail.py, by tests called test_requests_of_others_never_arrive.
ENDLESS = {"live", "activity-live"}
# Who deletes an account reads which organizations lose a member by it: those the caller is in, by name.
TOLD = {("member", "settings:delete", "Works of Ada")}
# What a member of staff without a single permission finds in the admin.
EMPTY_DESK = {"index", "login", "logout", "password_change", "password_change_done", "jsi18n"}
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
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous"),
]


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
        if "org_id" in route.parameters:
            fitting |= {"org_id": self.organization.pk}
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


def callers(adas: Adas) -> dict[str, Client]:
    """Return a browser for every kind of caller."""
    browsers = {kind: Client(raise_request_exception=False) for kind in CALLERS}
    ben = people.ensure_verified(email="ben@example.com")
    Membership.objects.create(user=ben, organization=adas.organization, role=Role.MEMBER)
    clerk = User.objects.create_user("clerk@example.com", is_staff=True)
    organizations.create_personal(user=clerk)
    browsers["stranger"].force_login(people.ensure_verified(email="cleo@example.com"))
    browsers["member"].force_login(ben)
    browsers["staff without a factor"].force_login(
        people.ensure_verified(email="root@example.com", is_staff=True)
    )
    browsers["plain staff"].force_login(clerk)
    browsers["expired session"].force_login(adas.owner)
    browsers["expired session"].session.delete()
    return browsers


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
    """Return all that an answer says, its headers too, but for the address it was asked at."""
    body = b"".join(answer) if answer.streaming else answer.content
    headers = "\n".join(f"{name}: {value}" for name, value in answer.items() if name != "Location")
    return f"{headers}\n{body.decode(errors='replace')}"


def faults_of(kind: str, route: Route, answer: Any, adas: Adas) -> Iterator[str]:
    if answer.status_code >= 500:
        yield f"answers {answer.status_code}"
    text = text_of(answer)
    for word in adas.words:
        if word in text and (kind, route.name, word) not in TOLD:
            yield f"tells {word}"
    if route.template.startswith("/admin/") and answer.status_code not in {301, 302, 403, 404, 405}:
        name = route.name.removeprefix("admin:")
        if name != "login" and not (kind == "plain staff" and name in EMPTY_DESK):
            yield f"opens a page of staff: {answer.status_code}"


def asked_by(kind: str, adas: Adas, *, is_full: bool) -> Iterator[tuple[str, str, Route]]:
    """Yield method, path and route of all that a kind of caller asks."""
    for number, route in enumerate(routes()):
        path = adas.path(route)
        for method in () if path.startswith(FOR_KEYS) else tries(kind, number, is_full=is_full):
            if route.name in ENDLESS and method == "GET" and kind not in {"anonymous", "expired session"}:
                continue
            yield method, path, route


def test_nobody_reads_or_changes_what_is_another_s(
    adas: Adas, settings: Settings, catalog: None, *, is_full: bool
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_of_the_matrix"]
    browsers, found, count = callers(adas), [], 0
    before = adas.rows()
    for kind, browser in browsers.items():
        settings.STAFF_SECOND_FACTOR = kind == "staff without a factor"
        for method, path, route in asked_by(kind, adas, is_full=is_full):
            count += 1
            with undone() as written:
                answer = browser.generic(method, path)
                faults = list(faults_of(kind, route, answer, adas))
                if written.is_so and adas.rows() != before:
                    faults.append("changes what is ada's")
            found += [f"{kind}: {method} {path} {fault}" for fault in faults]

    assert count > 3_000
    assert found == []


def test_the_matrix_covers_the_whole_url_map_and_would_see_a_leak(adas: Adas, card: Card) -> None:
    known = routes()

    paths = {adas.path(route) for route in known}
    assert len(known) > 200
    assert len(paths) > 150
    assert not [path for path in paths if re.search(r"[<>{}()\\^$]", path)]
    for part in [
        "/admin/",
        "/billing/",
        "/keys/",
        "/settings/",
        "/accounts/",
        "/v1/",
        "/webhooks/",
        "/dashboard/",
    ]:
        assert any(path.startswith(part) for path in paths), part
    told = text_of(card.browser.get("/keys/")) + text_of(card.browser.get("/billing/transactions.csv"))
    assert CANARY in told
    assert "Top-up" in told
