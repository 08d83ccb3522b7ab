"""Eight secrets go through every fault that can be asked for; afterwards none of them stands anywhere it should not."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import redis
from psycopg import sql

from accounts.session_store import key_of
from tests.live.product import CHANGES_ARRIVE_S, CommandFailed, LiveProduct
from tests.live.programs import free_port

pytestmark = pytest.mark.timeout(240)

# Without the look of a secret, where the product lets us choose: what keeps them out must not be their look alone.
PROVIDER_KEY = "canaryofprovider7391"
PEPPER = "c0ffee7391" * 6 + "c0ff"
DATABASE_PASSWORD = "canaryofdatabase7391"
PROMPT = "canaryofprompt7391"
STRIPE_KEY = "sk_test_canaryofstripe7391"
WEBHOOK_SECRET = "whsec_canaryofwebhook7391"
FAULTS = (
    "error=400", "error=401", "error=403", "error=404", "error=429 retry_after=1", "error=500", "drop", "html", "garbage",
    "empty", "error_first", "tokens=9 close_after=3", "key=another", "blocked", "filtered", "tokens=5",
)  # fmt: skip
LOG_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from accounts import people
from accounts.session_store import SessionStore
user = people.ensure_verified(email="root@example.com", is_staff=True)
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
from pathlib import Path
Path({path!r}).write_text(session.token)
"""


class Stage:
    """The running product, its secrets, and all that it has answered."""

    def __init__(self, product: LiveProduct, folder: Path) -> None:
        self.product = product
        self.answers: list[str] = []
        self.organization, self.key = product.new_customer()
        # Beside the database's answers and the logs, for it must not be printed.
        handed_over = folder.parent / f"{folder.name}-session"
        product.command("shell", f"--command={LOG_IN.format(path=str(handed_over))}")
        self.session = handed_over.read_text()
        self.site = product.base_url.removesuffix("/v1")
        self.signed = {"authorization": f"Bearer {self.key}"}
        # A client of its own for each request would read the machine's certificates each time.
        self._browser = httpx2.Client(timeout=30)
        self._numbers = itertools.count()

    @property
    def secrets(self) -> dict[str, str]:
        return {
            "provider key": PROVIDER_KEY,
            "pepper": PEPPER,
            "database password": DATABASE_PASSWORD,
            "customer key": self.key,
            "prompt": PROMPT,
            "session cookie": self.session,
            "Stripe key": STRIPE_KEY,
            "webhook secret": WEBHOOK_SECRET,
        }

    def close(self) -> None:
        """Let go of connections."""
        self._browser.close()

    def new_prompt(self) -> str:
        """Return a prompt that no other request has."""
        return f"{PROMPT}n{next(self._numbers)}n"

    def ask(self, method: str, url: str, *, own: str = "", **options: Any) -> None:
        """Ask, and keep the answer without what is the caller's ``own``: to whom it belongs it may be told."""
        with contextlib.suppress(httpx2.TransportError):
            answer = self._browser.request(method, url, **options)
            self._browser.cookies.clear()
            told = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
            text = f"{told}\n{answer.text}"
            self.answers.append(text.replace(own, "") if own else text)

    def complete(self, fault: str, model: str, *, is_stream: bool) -> None:
        """Ask for a completion that meets a fault."""
        prompt = self.new_prompt()
        said = {"role": "user", "content": f"{prompt} [[sandbox {fault}]]"}
        body = {"model": model, "messages": [said], "stream": is_stream}
        self.ask(
            "POST", f"{self.product.base_url}/chat/completions", own=prompt, json=body, headers=self.signed
        )

    def visit(self, path: str, method: str = "GET", **options: Any) -> None:
        """Open a page with the cookie of staff, which a new Set-Cookie may hold."""
        headers = {"cookie": f"sessionid={self.session}"}
        self.ask(method, f"{self.site}{path}", own=f"sessionid={self.session};", headers=headers, **options)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "mail").mkdir()
    database_url = os.environ["DATABASE_URL"]
    database_url += f"{'&' if '?' in database_url else '?'}password={DATABASE_PASSWORD}"
    environment = {
        "FASTANCHOR_API_KEY_PEPPERS": f"1:{PEPPER}",
        "FASTANCHOR_EMAIL_URL": (folder / "mail").as_uri(),
        "STRIPE_SECRET_KEY": STRIPE_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        # Nobody listens there.
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
    }
    with LiveProduct(
        folder,
        database_url=database_url,
        redis_url=os.environ["REDIS_URL"],
        gateways=1,
        environment=environment,
    ) as product:
        stage = Stage(product, folder)
        yield stage
        stage.close()


def upstream_faults(stage: Stage, model: str) -> None:
    for fault, is_stream in itertools.product(FAULTS, (False, True)):
        stage.complete(fault, model, is_stream=is_stream)


def bodies_that_are_none(stage: Stage) -> None:
    url, headers = f"{stage.product.base_url}/chat/completions", stage.signed
    for body in (
        '{{"model": "{}"',
        '{{"model": "gpt-4o", "messages": "{}"}}',
        '{{"{}": 1e999}}',
        "[" * 9_000,
    ):
        prompt = stage.new_prompt()
        told = {"content": body.format(prompt), "headers": {**headers, "content-type": "application/json"}}
        stage.ask("POST", url, own=prompt, **told)
    stage.ask("POST", url, json={"prompt": PROMPT}, headers={"authorization": f"Bearer {stage.key}x"})
    stage.ask("GET", f"{stage.product.base_url}/key", headers={"authorization": f"Basic {stage.key}"})
    stage.ask("GET", f"{stage.product.base_url}/nowhere?key={stage.key}")


def site_faults(stage: Stage) -> None:
    for path in (
        "/dashboard/", "/admin/", "/admin/catalog/channel/", "/billing/", "/settings/sessions/", "/nowhere/", "/keys/key_nobody/",
    ):  # fmt: skip
        stage.visit(path)
    stage.visit("/billing/", "POST", data={"amount": PROMPT})
    stage.ask("POST", f"{stage.site}/accounts/login/", data={"login": "root@example.com", "password": "x"})
    for signature in ("", "t=1,v1=00", WEBHOOK_SECRET):
        told = {"stripe-signature": f"t=1,v1={signature}"}
        stage.ask("POST", f"{stage.site}/webhooks/stripe/", content=b"{}", headers=told)
    with contextlib.suppress(CommandFailed):
        stage.product.command("billing_reconcile")


def servers_that_vanish(stage: Stage) -> None:
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    stage.product.rows(query)
    site_faults(stage)
    with redis.Redis.from_url(stage.product.redis_url) as valkey:
        valkey.client_kill_filter(_type="normal", skipme=True)
    upstream_faults(stage, "gpt-4o")


def tables(product: LiveProduct) -> Iterator[tuple[str, str]]:
    with psycopg.connect(product.database_url) as connection:
        listed = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in listed:
            rows = connection.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
            ).fetchall()
            yield f"table {name}", "\n".join(row[0] for row in rows)


def memory(product: LiveProduct) -> Iterator[tuple[str, str]]:
    with redis.Redis.from_url(product.redis_url) as valkey:
        for key in valkey.scan_iter():
            kind = valkey.type(key)
            read = {b"string": valkey.get, b"hash": valkey.hgetall}.get(kind, lambda _: b"")
            yield f"valkey {key!r}", f"{key!r} {read(key)!r}"


def places(stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield everywhere something could stand."""
    for path in stage.product.folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes().decode("latin-1")
    yield "answers", "\n".join(stage.answers)
    yield from tables(stage.product)
    yield from memory(stage.product)


def test_no_secret_stands_where_it_should_not(stage: Stage) -> None:
    upstream = stage.product.sandboxes[0].base_url
    model = stage.product.spare_model()
    stage.product.add_channel(upstream, f"--models={model}", api_key=PROVIDER_KEY)
    time.sleep(CHANGES_ARRIVE_S)

    upstream_faults(stage, model)
    upstream_faults(stage, "gpt-4o")
    bodies_that_are_none(stage)
    site_faults(stage)
    servers_that_vanish(stage)

    found = [
        f"the {kind} in {place}"
        for place, text in places(stage)
        for kind, secret in stage.secrets.items()
        if secret in text
        # The sandbox is the provider: it logs what it was asked.
        and "sandbox-" not in place
    ]
    assert found == []
    assert len(stage.answers) > 80


def test_the_search_would_find_them(stage: Stage) -> None:
    """What is searched holds what we know to be there."""
    searched = dict(places(stage))

    assert stage.organization in searched["table accounts_organization"]
    assert key_of(stage.session) in searched["table django_session"]
    assert any(place.endswith(".log") and text for place, text in searched.items())
