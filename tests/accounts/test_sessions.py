from __future__ import annotations

import time
from datetime import timedelta
from importlib import import_module

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import people, proofs, session_store, sessions, stamps
from accounts.adapters import AccountAdapter
from accounts.audit_entry import AuditEntry
from accounts.models import User
from accounts.tasks import expire_sessions
from fastanchor.lib.networks import Front, ranges_of

# A module whose name begins with a number.
session_digests = import_module("accounts.migrations.0011_session_digests")
PASSWORD = "a long password of ada"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19.0 Mobile/15E148 Safari/604.1"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(db: None) -> User:
    return people.ensure_verified(email="ada@example.com", password=PASSWORD)


def log_in(user_agent: str) -> Client:
    client = Client(headers={"user-agent": user_agent})
    entered = client.post(reverse("account_login"), {"login": "ada@example.com", "password": PASSWORD})
    assert entered["Location"] == reverse("dashboard")
    return client


def is_inside(client: Client) -> bool:
    return client.get(reverse("settings:profile")).status_code == 200


def age(client: Client, **stamped: int) -> None:
    session = client.session
    for name, seconds in stamped.items():
        session[name] = int(time.time()) - seconds
    session.save()


def test_the_list_shows_each_device_once_and_which_is_this_one(ada: User) -> None:
    laptop, phone = log_in(FIREFOX), log_in(PHONE)

    html = laptop.get(reverse("settings:sessions")).content.decode()

    assert html.count("Firefox on Linux") == 1
    assert "Safari on iPhone" in html
    assert html.count("This one") == 1
    assert is_inside(phone)


def test_another_session_is_ended_and_this_one_stays(ada: User) -> None:
    laptop, phone = log_in(FIREFOX), log_in(PHONE)
    of_phone = UserSession.objects.get(session_key=phone.session.session_key)

    laptop.post(reverse("settings:end-session", args=[of_phone.pk]))

    assert (is_inside(laptop), is_inside(phone)) == (True, False)


def test_an_old_session_shows_who_it_is_before_it_ends_others(ada: User) -> None:
    laptop, phone = log_in(FIREFOX), log_in(PHONE)
    session = laptop.session
    session["begun_at"] = int(time.time()) - proofs.LASTS_S
    session["account_authentication_methods"] = []
    session.save()

    asked = laptop.post(reverse("settings:end-others"))

    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert is_inside(phone)
    laptop.post(asked["Location"], {"password": PASSWORD})
    assert (is_inside(laptop), is_inside(phone)) == (True, False)


def test_a_logout_ends_the_session_and_clears_up_in_the_browser(ada: User) -> None:
    laptop = log_in(FIREFOX)
    token = laptop.cookies["sessionid"].value
    assert "Clear-Site-Data" not in laptop.get(reverse("settings:profile"))

    left = laptop.post(reverse("account_logout"))

    assert left["Clear-Site-Data"] == '"storage"'
    laptop.cookies["sessionid"] = token
    assert not is_inside(laptop)


def test_whoever_is_deactivated_is_out_at_once(ada: User) -> None:
    laptop = log_in(FIREFOX)

    User.objects.update(is_active=False)

    assert not is_inside(laptop)


def test_staff_log_somebody_out_everywhere(ada: User, client: Client) -> None:
    laptop, phone = log_in(FIREFOX), log_in(PHONE)
    client.force_login(people.ensure_verified(email="root@example.com", is_staff=True))

    client.post(
        reverse("admin:accounts_user_changelist"),
        {"action": "log_out", "_selected_action": ada.pk, "reason": "Lost a laptop"},
    )

    assert (is_inside(laptop), is_inside(phone)) == (False, False)
    [entry] = AuditEntry.objects.filter(what="user.logged_out")
    assert (entry.subject, entry.after, entry.email) == (
        f"user {ada.pk}",
        {"sessions": 2},
        "root@example.com",
    )
    assert is_inside(client)


def test_all_others_are_ended_at_once(ada: User) -> None:
    laptop, phone, tablet = log_in(FIREFOX), log_in(PHONE), log_in("curl/8.0")

    laptop.post(reverse("settings:end-others"))

    assert [is_inside(each) for each in (laptop, phone, tablet)] == [True, False, False]


def test_sessions_of_strangers_cannot_be_ended(ada: User, client: Client) -> None:
    laptop = log_in(FIREFOX)
    client.force_login(people.ensure_verified(email="cleo@example.com"))
    foreign = UserSession.objects.get().pk

    assert client.post(reverse("settings:end-session", args=[foreign])).status_code == 404
    assert is_inside(laptop)


def test_a_new_password_ends_the_others(ada: User) -> None:
    laptop, phone = log_in(FIREFOX), log_in(PHONE)
    key = phone.session.session_key

    laptop.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": "another long one", "password2": "another long one"},
    )

    assert (is_inside(laptop), is_inside(phone)) == (True, False)
    assert not Session.objects.filter(pk=key).exists()
    assert sessions.of(ada).count() == 1


def test_last_seen_is_noted_every_few_minutes_and_not_more_often(ada: User) -> None:
    laptop = log_in(FIREFOX)
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(days=1))

    is_inside(laptop)
    assert UserSession.objects.get().last_seen_at < timezone.now() - timedelta(hours=1)
    age(laptop, seen_at=stamps.SEEN_EVERY_S)
    is_inside(laptop)
    assert UserSession.objects.get().last_seen_at > timezone.now() - timedelta(minutes=1)


def test_use_keeps_a_session_alive(ada: User) -> None:
    laptop = log_in(FIREFOX)
    age(laptop, seen_at=stamps.SEEN_EVERY_S)
    Session.objects.update(expire_date=timezone.now() + timedelta(minutes=1))

    is_inside(laptop)

    assert Session.objects.get().expire_date > timezone.now() + timedelta(days=13)


def test_a_session_ends_after_its_longest_time_however_it_is_used(ada: User, settings: Settings) -> None:
    laptop = log_in(FIREFOX)
    age(laptop, begun_at=settings.SESSION_LONGEST_S)

    assert not is_inside(laptop)
    assert not UserSession.objects.exists()


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (PHONE, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/150.0 Safari/537 Edg/150.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537 Chrome/150.0 Mobile Safari/537",
            "Chrome on Android",
        ),
        ("curl/8.14", "curl/8.14"),
        ("", "Unknown device"),
    ],
)
def test_devices_are_named_in_words(user_agent: str, device: str) -> None:
    assert sessions.device_of(user_agent) == device


@pytest.mark.parametrize("count", [10, 10_000])
def test_the_list_asks_as_often_for_ten_thousand_sessions(
    ada: User, client: Client, count: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(ada)
    keys = [f"{number:032d}" for number in range(count)]
    later = timezone.now() + timedelta(days=1)
    Session.objects.bulk_create([Session(pk=key, session_data="", expire_date=later) for key in keys])
    UserSession.objects.bulk_create(
        [UserSession(user=ada, session_key=key, ip="192.0.2.1", user_agent=FIREFOX) for key in keys]
    )

    with django_assert_max_num_queries(8):
        html = client.get(reverse("settings:sessions")).content.decode()

    assert html.count("192.0.2.1 ·") == min(count, 20)


def test_what_is_over_is_deleted_with_where_it_was_used_from(ada: User) -> None:
    log_in(PHONE)
    kept = log_in(FIREFOX)
    over = Session.objects.exclude(pk=kept.session.session_key)
    over.update(expire_date=timezone.now() - timedelta(days=1))
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(days=15))

    expire_sessions()

    assert [each.session_key for each in UserSession.objects.all()] == [kept.session.session_key]
    assert not over.exists()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        ((), "203.0.113.9, 198.51.100.4", "198.51.100.4"),
        (("127.0.0.1/32", "198.51.100.0/24"), "203.0.113.9, 198.51.100.4", "203.0.113.9"),
        (("10.0.0.0/8",), "203.0.113.9", "127.0.0.1"),
    ],
)
def test_where_a_session_comes_from_is_what_the_gateway_believes(
    ada: User, settings: Settings, proxies: tuple[str, ...], forwarded: str, seen: str
) -> None:
    settings.FRONT = Front(is_proxied=True, proxies=ranges_of(proxies))
    request = RequestFactory().get("/", headers={"x-forwarded-for": forwarded})

    assert AccountAdapter().get_client_ip(request) == seen


def test_what_the_database_keeps_of_a_session_opens_nothing(ada: User) -> None:
    laptop = log_in(FIREFOX)
    token = laptop.cookies["sessionid"].value
    [kept], [listed] = Session.objects.all(), UserSession.objects.all()
    thief = Client()
    thief.cookies["sessionid"] = kept.session_key

    assert len(bytes.fromhex(token)) == 32
    assert kept.session_key == listed.session_key == session_store.key_of(token)
    assert token not in f"{kept.session_key} {kept.session_data} {listed.data}"
    assert (is_inside(thief), is_inside(laptop)) == (False, True)


def test_a_login_gets_another_token_than_the_visitor_had(ada: User) -> None:
    browser = Client()
    planted = browser.session
    planted["seen"] = "before"
    planted.save()
    before = browser.cookies["sessionid"].value

    browser.post(reverse("account_login"), {"login": "ada@example.com", "password": PASSWORD})

    assert browser.cookies["sessionid"].value != before
    browser.cookies["sessionid"] = before
    assert not is_inside(browser)


def test_who_was_logged_in_before_there_were_digests_stays_so(ada: User) -> None:
    laptop = log_in(FIREFOX)
    token = "a" * 32
    key = laptop.session.session_key
    Session.objects.filter(pk=key).update(session_key=token)
    UserSession.objects.update(session_key=token)
    laptop.cookies["sessionid"] = token

    with connection.cursor() as cursor:
        for table in session_digests.TABLES:
            cursor.execute(session_digests.DIGEST.format(table=table))

    assert is_inside(laptop)
    assert sessions.of(ada).count() == 1
