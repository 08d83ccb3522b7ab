"""What every answer tells browsers, by every address of the product; and what no address does."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import User
from tests.pages.test_access_matrix import ENDLESS
from tests.pages.urlmap import routes

ROOT = django_settings.BASE_DIR
FILES = ("/static/css/base.css", "/static/js/copy.js", "/static/img/mark.svg")
OTHERS = ("/healthz", "/readyz", "/metrics", "/nowhere/", "/v1/nowhere", "/v1", *FILES)
ASKED_INSIDE = {"/healthz", "/readyz", "/metrics"}
WANTED = {"x-content-type-options": "nosniff", "content-security-policy": "frame-ancestors 'none'"}
OF_PAGES = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "referrer-policy": "same-origin",
}
TEXTS = ("text/", "application/xml", "application/atom+xml")
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous"),
]


def paths() -> list[str]:
    """Return every address that names nothing, and some that are answered outside of the URL map."""
    plain = [each.template for each in routes() if not each.parameters and each.name not in ENDLESS]
    return list(dict.fromkeys([*plain, *OTHERS]))


def faults(path: str, headers: dict[str, str], text: str, *, is_inside: bool) -> list[str]:
    """Return what is wrong with an answer."""
    wanted = WANTED if path in ASKED_INSIDE else WANTED | OF_PAGES
    found = [f"lacks {name}" for name, words in wanted.items() if words not in headers.get(name, "")]
    kind = headers.get("content-type", "")
    if text and not kind:
        found.append("has no type")
    if kind.startswith(TEXTS) and "charset=utf-8" not in kind.lower().replace('"', ""):
        found.append(f"is {kind} without a charset")
    if headers.get("access-control-allow-origin"):
        found.append("lets other origins read")
    if is_inside and "<body" in text and reverse("account_logout") not in text:
        found.append("shows no way out")
    return found


@pytest.mark.parametrize("who", ["a stranger", "ada"])
def test_every_answer_carries_the_headers_that_keep_browsers_in_bounds(
    browser: Client, ada: User, catalog: None, who: str
) -> None:
    found = []
    with override_settings(
        SECURE_HSTS_SECONDS=31_536_000, SECURE_HSTS_INCLUDE_SUBDOMAINS=True, SECURE_SSL_REDIRECT=True
    ):
        visitor = Client(headers={"origin": "https://evil.example"})
        if who == "ada":
            visitor.cookies = browser.cookies
        for path in paths():
            answer = visitor.get(path, secure=True)
            body = b"".join(answer) if answer.streaming else answer.content
            headers = {name.lower(): value for name, value in answer.items()}
            text = body.decode(errors="replace")
            is_inside = getattr(answer.wsgi_request, "user", None) == ada and who == "ada"
            found += [f"{path} {fault}" for fault in faults(path, headers, text, is_inside=is_inside)]

    assert found == []


def test_without_tls_people_are_led_on_and_programs_are_refused(db: None) -> None:
    with override_settings(SECURE_SSL_REDIRECT=True):
        plain = Client()
        page, called = plain.get("/pricing/"), plain.get("/v1/models")

    assert (page.status_code, page["Location"]) == (301, "https://testserver/pricing/")
    assert (called.status_code, called.json()["error"]["code"]) == (403, "permission_denied")
    assert called["x-request-id"].startswith("req_")


@pytest.mark.parametrize("who", ["a stranger", "ada"])
def test_nothing_is_traced_back(client: Client, browser: Client, catalog: None, who: str) -> None:
    visitor = browser if who == "ada" else Client()
    found = []
    for path in paths():
        answer = visitor.generic("TRACE", path, headers={"x-canary": "canary7391"})
        if answer.status_code < 300 or b"canary7391" in b"".join(answer):
            found.append(f"{path} {answer.status_code}")

    assert found == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/css/",
        "/static/js",
        "/static/../manage.py",
        "/static/%2e%2e/manage.py",
        "/.git/config",
        "/.env",
    ],
)
def test_no_folder_is_listed_and_no_file_beside_them_served(client: Client, db: None, path: str) -> None:
    assert client.get(path).status_code == 404


def test_what_is_served_from_files_are_static_files_alone() -> None:
    assert django_settings.STATICFILES_DIRS == [ROOT / "static"]
    assert not django_settings.MEDIA_ROOT


def test_an_image_holds_no_history_and_no_secret() -> None:
    kept_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert {".git", ".env", ".local", "tests", "bench"} <= set(kept_out)


def test_every_cookie_of_production_is_for_this_host_alone(ada: User) -> None:
    names = {
        name: f"__Host-{name.split('_')[0].lower()}" for name in ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME")
    }
    names["MESSAGES_COOKIE_NAME"] = "__Host-messages"
    with override_settings(**names, SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True):
        visitor = Client()
        visitor.get(reverse("account_login"), secure=True)
        told = {"login": ada.email, "password": "a long password of ada"}
        visitor.post(reverse("account_login"), told, secure=True)
        visitor.post(reverse("settings:end-others"), secure=True)

        set_cookies = list(visitor.cookies.values())

    assert {cookie.key for cookie in set_cookies} == set(names.values())
    for cookie in set_cookies:
        assert (cookie["secure"], cookie["path"], cookie["domain"], cookie["samesite"]) == (
            True,
            "/",
            "",
            "Lax",
        )
        assert cookie["httponly"] or cookie.key == "__Host-csrf"


@pytest.mark.parametrize("name", ["__Host-theme", "theme"])
def test_the_cookie_of_the_theme_is_read_by_its_name_of_production_too(
    client: Client, db: None, name: str
) -> None:
    client.cookies[name] = "dark"

    assert 'data-theme="dark"' in client.get("/").content.decode()
    script = (ROOT / "static/js/theme.js").read_text(encoding="utf-8")
    assert '"__Host-"' in script
    assert '"; secure"' in script
