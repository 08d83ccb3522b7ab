"""No page chokes on a NUL, which PostgreSQL takes in no text: neither in its address nor in a cookie."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.pages.urlmap import Address, addresses

READ_BY_SOME_PAGE = ("q", "key", "model", "id")


def path_with_nul(address: Address) -> str:
    """Return where an address is, with NULs where its path takes any text."""
    try:
        return reverse(address.name, kwargs=dict.fromkeys(address.parameters, "a\0b"))
    except NoReverseMatch:
        return reverse(address.name, kwargs=dict.fromkeys(address.parameters, 7))


@pytest.mark.parametrize("address", addresses(), ids=lambda address: address.name)
def test_a_nul_in_the_address_is_refused(browser: Client, address: Address) -> None:
    path = path_with_nul(address)

    answers = [browser.get(path, {name: "a\0b"}) for name in READ_BY_SOME_PAGE]
    if "%00" in path:
        answers.append(browser.get(path))

    assert {answer.status_code for answer in answers} == {400}
    assert all("Content-Security-Policy" in answer.headers for answer in answers)


def test_a_nul_in_a_cookie_is_refused(client: Client, db: None) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = "long enough\0"

    assert client.get(reverse("home")).status_code == 400


def test_the_words_of_a_nul_are_words(client: Client, db: None) -> None:
    assert client.get(reverse("models"), {"q": "%00"}).status_code == 200
