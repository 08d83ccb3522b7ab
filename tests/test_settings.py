from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAFE = {
    "FASTANCHOR_HOSTS": "gateway.example",
    "FASTANCHOR_SECRET_KEY": "s" * 50,
    "FASTANCHOR_API_KEY_PEPPERS": "1:" + "0" * 64,
    "FASTANCHOR_CHANNEL_KEYS": "k1:" + "0" * 64,
    "FASTANCHOR_ARCHIVE_KEYS": "a1:" + "0" * 64,
    "FASTANCHOR_EMAIL_URL": "smtp://mail.example:587",
    "DATABASE_URL": "postgres://Ada:p%40ss@%2Frun%2FPG/one?sslmode=require",
    "REDIS_URL": "redis://valkey.example/0",
}


def _load(code: str = "", /, **changes: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in (SAFE | changes).items() if value is not None}
    return subprocess.run(
        [sys.executable, "-c", f"from fastanchor import settings as s\n{code}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_is_the_default_and_safe() -> None:
    result = _load(
        "print(s.IS_PRODUCTION, s.DEBUG, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_SSL_REDIRECT,"
        " s.ALLOW_PRIVATE_UPSTREAMS, s.SECURE_HSTS_SECONDS > 0)",
        FASTANCHOR_ALLOW_PRIVATE_UPSTREAMS="1",
    )

    assert result.stdout == "True False True True True False True\n"


def test_production_keeps_passwords_by_argon2_and_asks_for_https() -> None:
    result = _load(
        "print(s.PASSWORD_HASHERS[0], s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_REFERRER_POLICY)"
    )

    hasher = "django.contrib.auth.hashers.Argon2PasswordHasher"
    assert result.stdout == f"{hasher} 31536000 True same-origin\n"


def test_a_database_address_keeps_its_case_its_escapes_and_its_parameters() -> None:
    result = _load(
        "d = s.DATABASES['default']\nprint(d['USER'], d['PASSWORD'], d['HOST'], d['NAME'], d['OPTIONS'])"
    )

    options = "{'tcp_user_timeout': '10000', 'connect_timeout': 5, 'sslmode': 'require'}"
    assert result.stdout == f"Ada p@ss /run/PG one {options}\n"


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({}, "https://gateway.example"),
        ({"FASTANCHOR_HOSTS": ".gateway.example,other.example"}, "https://gateway.example"),
        ({"FASTANCHOR_ORIGIN": "https://app.gateway.example/"}, "https://app.gateway.example"),
    ],
)
def test_links_in_mails_lead_to_the_first_host_or_where_they_are_told_to(
    changes: dict[str, str], origin: str
) -> None:
    assert _load("print(s.SITE_ORIGIN)", **changes).stdout == f"{origin}\n"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("FASTANCHOR_SECRET_KEY", None, "Set FASTANCHOR_SECRET_KEY."),
        ("FASTANCHOR_API_KEY_PEPPERS", None, "Set FASTANCHOR_API_KEY_PEPPERS."),
        ("FASTANCHOR_ARCHIVE_KEYS", None, "Set FASTANCHOR_ARCHIVE_KEYS."),
        ("FASTANCHOR_RESPONSES_DAYS", "a month", "FASTANCHOR_RESPONSES_DAYS must be a whole number"),
        ("FASTANCHOR_RESPONSES_DAYS", "0", "FASTANCHOR_RESPONSES_DAYS must be 1 or more"),
        ("FASTANCHOR_EMAIL_URL", None, "Set FASTANCHOR_EMAIL_URL."),
        ("DATABASE_URL", None, "Set DATABASE_URL."),
        ("FASTANCHOR_SECRET_KEY", "short", "needs 50 characters"),
        ("FASTANCHOR_HOSTS", "*", "must name the hosts"),
        ("FASTANCHOR_HOSTS", None, "must name the hosts"),
        ("FASTANCHOR_ENV", "prod", "must be production, development or test"),
        ("PORT", "http", "PORT must be a whole number"),
        ("FASTANCHOR_TRUST_PROXY", "maybe", "FASTANCHOR_TRUST_PROXY must be 1 or 0"),
    ],
)
def test_production_refuses_to_start_when_a_name_is_missing_or_unsafe(
    name: str, value: str | None, told: str
) -> None:
    result = _load(**{name: value})

    assert result.returncode == 1
    assert told in result.stderr.splitlines()[-1]


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("f" * 60 + "\n")

    result = _load(
        "print(s.SECRET_KEY)", FASTANCHOR_SECRET_KEY=None, FASTANCHOR_SECRET_KEY_FILE=str(tmp_path / "key")
    )

    assert result.stdout == "f" * 60 + "\n"
