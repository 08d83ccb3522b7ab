"""What may be a password, how it is typed, and that it is taken as it was typed."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, identify_hasher
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts import people
from accounts.models import User
from accounts.passwords import WORDS, WordsOfOurs

OLD = "a long password of ada"
# Only letters, only digits, only signs, blanks at both ends, other scripts, 128 characters.
ANY = ("wvutsrqponm", "74019283746", "!?!.,;:-_#+*", " two  blanks ", "пароль и слово", "x1Y " * 32)


@pytest.fixture
def browser(client: Client, db: None) -> Client:
    client.force_login(people.ensure_verified(email="ada@example.com", password=OLD))
    return client


def change(browser: Client, password: str, *, old: str = OLD) -> int:
    told = {"oldpassword": old, "password1": password, "password2": password}
    return browser.post(reverse("account_change_password"), told).status_code


def log_in(password: str) -> bool:
    browser = Client()
    browser.post(reverse("account_login"), {"login": "ada@example.com", "password": password})
    return "_auth_user_id" in browser.session


@pytest.mark.parametrize("password", ANY)
def test_a_password_of_anything_is_taken_exactly_as_it_is(browser: Client, password: str) -> None:
    assert change(browser, password) == 302

    assert User.objects.get().check_password(password)
    assert log_in(password)
    assert not log_in(password.strip() + ("" if password != password.strip() else "x"))
    assert not log_in(password[:-1])
    assert password.swapcase() == password or not log_in(password.swapcase())


@pytest.mark.parametrize(
    "password", ["seven.7", "password123", "fastanchor2026", "Fast-Anchor-1", "OpenAI API key"]
)
def test_a_password_that_is_short_common_or_ours_is_refused_at_a_change_too(
    browser: Client, password: str
) -> None:
    assert change(browser, password) == 200

    assert User.objects.get().check_password(OLD)


def test_the_old_password_is_asked_for(browser: Client) -> None:
    assert change(browser, "another long one", old="a wrong one") == 200

    assert User.objects.get().check_password(OLD)


def test_a_word_of_ours_among_others_is_no_mistake() -> None:
    WordsOfOurs().validate("an anchor in the harbour")

    for word in WORDS:
        with pytest.raises(ValidationError, match="belong to this site"):
            WordsOfOurs().validate(f"{word.title()} 2026!")


def test_a_password_is_kept_by_argon2(browser: Client) -> None:
    kept = User.objects.get().password

    assert isinstance(identify_hasher(kept), Argon2PasswordHasher)
    assert OLD not in kept


@pytest.mark.parametrize("name", ["account_login", "account_signup", "account_change_password"])
def test_fields_of_passwords_hide_what_is_typed_and_welcome_managers(
    browser: Client, db: None, name: str
) -> None:
    reader = browser if name == "account_change_password" else Client()

    html = reader.get(reverse(name)).content.decode()

    fields = re.findall(r'<input[^>]*name="(?:old)?password\d?"[^>]*>', html)
    assert fields
    for field in fields:
        assert 'type="password"' in field
        assert re.search(r'autocomplete="(current|new)-password"', field)
        assert "onpaste" not in field
        assert "maxlength" not in field
