"""Second factors, passwords and re-authentication, on allauth's pages in our design."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import hotp_value
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter

from accounts.models import User
from tests.pages.markup import faults, words

PASSWORD = "a long password of ada"
# Pages that only exist in the middle of a flow lead elsewhere; nothing is rendered there.
ARGUMENTS = {"uidb36": "1"}


@pytest.fixture(autouse=True)
def _no_limits_of_before() -> None:
    cache.clear()


def code_of(secret: str, *, step: int = 0) -> str:
    """Return what an authenticator app shows now, or so many steps later."""
    return f"{hotp_value(secret, int(time.time()) // 30 + step):06d}"


def prove(browser: Client) -> None:
    """Enter the password once more."""
    assert browser.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302


def set_up_app(browser: Client) -> tuple[str, list[str]]:
    """Set an authenticator app up; return its secret and the recovery codes."""
    prove(browser)
    html = browser.get(reverse("mfa_activate_totp")).content.decode()
    found = re.search(r'id="totp-secret"[^>]*>([A-Z2-7]+)<', html)
    assert found is not None
    secret = found[1]
    shown = browser.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}, follow=True)
    codes = re.findall(r"\b\d{8}\b", shown.content.decode())
    return secret, codes


def names_of_allauth() -> list[tuple[str, dict[str, object]]]:
    """Return every URL below /accounts/ with arguments that fit."""
    return list(_walk(get_resolver().url_patterns, "", {}))


def _walk(
    patterns: list[URLPattern | URLResolver], prefix: str, given: dict[str, object]
) -> Iterator[tuple[str, dict[str, object]]]:
    for each in patterns:
        path, pattern = prefix + str(each.pattern), each.pattern
        wanted = pattern.converters or dict.fromkeys(pattern.regex.groupindex)
        arguments = given | {name: _fitting(name, kind) for name, kind in wanted.items()}
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, path, arguments)
        elif path.startswith("accounts/") and each.name:
            yield each.name, arguments


def _fitting(name: str, kind: object) -> object:
    return 1 if isinstance(kind, IntConverter) else ARGUMENTS.get(name, "gone")


@pytest.mark.parametrize("who", ["a stranger", "ada"])
def test_every_page_of_allauth_is_in_our_design_and_keeps_the_policy(
    client: Client, ada: User, who: str
) -> None:
    if who == "ada":
        client.force_login(ada)
        prove(client)
    shown = 0

    for name, arguments in names_of_allauth():
        response = client.get(reverse(name, kwargs=arguments))
        assert response.status_code in {200, 302, 404}, name
        assert "script" not in response["Content-Security-Policy"]
        if response.status_code == 200:
            html, shown = response.content.decode(), shown + 1
            assert faults(html) == [], name
            assert 'class="brand"' in html, name

    assert shown >= 9


@pytest.mark.parametrize(
    "name",
    ["mfa_index", "mfa_activate_totp", "mfa_list_webauthn", "mfa_add_webauthn", "mfa_generate_recovery_codes",
     "account_email", "account_change_password"],
)  # fmt: skip
def test_managing_pages_stand_in_the_frame_of_the_settings(browser: Client, name: str) -> None:
    set_up_app(browser)
    if name == "mfa_activate_totp":
        Authenticator.objects.all().delete()

    html = browser.get(reverse(name)).content.decode()

    assert 'class="section-places"' in html
    assert html.count('aria-current="page"') == 2
    assert html.count("<h1") == 1


def test_the_picture_for_the_app_is_allowed_by_the_policy(browser: Client) -> None:
    prove(browser)

    response = browser.get(reverse("mfa_activate_totp"))

    assert 'src="data:image/svg+xml;base64,' in response.content.decode()
    assert "img-src 'self' data:" in response["Content-Security-Policy"]


@pytest.mark.django_db(transaction=True)
def test_an_app_is_set_up_asked_for_at_the_next_login_and_told_of_by_mail(browser: Client, ada: User) -> None:
    secret, codes = set_up_app(browser)

    assert len(codes) == 10
    [told] = mail.outbox
    assert (told.subject, told.to) == ("Your authenticator app is on", [ada.email])
    assert "If that was not you" in str(told.body)
    elsewhere = Client()
    step = elsewhere.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    assert step["Location"].startswith(reverse("mfa_authenticate"))
    assert faults(elsewhere.get(step["Location"]).content.decode()) == []
    assert elsewhere.get(reverse("dashboard")).status_code == 302
    refused = elsewhere.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert "That did not work" in words(refused.content.decode())
    inside = elsewhere.post(reverse("mfa_authenticate"), {"code": code_of(secret, step=1)})
    assert inside["Location"] == reverse("dashboard")


def test_a_recovery_code_logs_in_once(browser: Client, ada: User) -> None:
    _, codes = set_up_app(browser)

    def log_in() -> str:
        elsewhere = Client()
        elsewhere.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
        return elsewhere.post(reverse("mfa_authenticate"), {"code": codes[0]}).get("Location", "refused")

    assert [log_in(), log_in()] == [reverse("dashboard"), "refused"]
    assert "9 left" in words(browser.get(reverse("mfa_index")).content.decode())


def test_a_new_password_by_mail_does_not_go_past_the_second_factor(browser: Client, ada: User) -> None:
    set_up_app(browser)
    stranger = Client()
    stranger.post(reverse("account_reset_password"), {"email": ada.email})
    link = re.search(r"http://testserver(\S+)", str(mail.outbox[-1].body))
    assert link is not None
    form = stranger.get(link[1])["Location"]
    stranger.post(form, {"password1": "another long one", "password2": "another long one"})
    assert stranger.get(reverse("dashboard")).status_code == 302

    step = stranger.post(reverse("account_login"), {"login": ada.email, "password": "another long one"})

    assert step["Location"].startswith(reverse("mfa_authenticate"))
    assert stranger.get(reverse("dashboard")).status_code == 302


def test_recovery_codes_are_shown_once(browser: Client) -> None:
    _, codes = set_up_app(browser)

    again = browser.get(reverse("mfa_view_recovery_codes")).content.decode()

    assert not any(code in again for code in codes)
    assert "are not shown again" in words(again)


def test_a_code_of_the_app_works_once(browser: Client, ada: User) -> None:
    secret, _ = set_up_app(browser)
    code = code_of(secret, step=1)

    def log_in() -> int:
        elsewhere = Client()
        elsewhere.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
        return elsewhere.post(reverse("mfa_authenticate"), {"code": code}).status_code

    assert [log_in(), log_in()] == [302, 200]


def test_guessing_codes_is_stopped(browser: Client, ada: User) -> None:
    set_up_app(browser)
    elsewhere = Client()
    elsewhere.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})

    answers = [elsewhere.post(reverse("mfa_authenticate"), {"code": f"{n:06d}"}) for n in range(7)]

    assert "Too many failed" in words(answers[-1].content.decode())


def test_secrets_of_second_factors_are_sealed(browser: Client) -> None:
    secret, codes = set_up_app(browser)

    stored = str(list(Authenticator.objects.values_list("data", flat=True)))

    assert secret not in stored
    assert not any(code in stored for code in codes)


@pytest.mark.parametrize("name", ["mfa_activate_totp", "mfa_add_webauthn", "mfa_generate_recovery_codes"])
def test_a_second_factor_asks_for_the_password_first(browser: Client, name: str) -> None:
    response = browser.get(reverse(name))

    assert response["Location"].startswith(reverse("account_reauthenticate"))


def test_another_address_asks_for_the_password_first(browser: Client) -> None:
    sent = browser.post(reverse("account_email"), {"action_add": "", "email": "new@example.com"})

    assert sent["Location"].startswith(reverse("account_reauthenticate"))


def test_staff_see_and_take_away_a_second_factor_but_no_secret(browser: Client, admin_client: Client) -> None:
    secret, _ = set_up_app(browser)
    factor = Authenticator.objects.get(type="totp")

    page = admin_client.get(reverse("admin:mfa_authenticator_change", args=[factor.pk]))

    assert page.status_code == 200
    assert "data" not in words(page.content.decode()).split("Authenticator")[-1]
    assert secret not in page.content.decode()
    assert factor.data["secret"] not in page.content.decode()


def test_a_changed_password_is_told_of_by_mail(browser: Client, ada: User) -> None:
    browser.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": "another long one", "password2": "another long one"},
    )

    [told] = mail.outbox
    assert (told.subject, told.to) == ("Your password was changed", [ada.email])
