"""Nothing runs that nobody has locked, what is made of what can be printed, and production passes Django's own check."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from tests.test_settings import ROOT, SAFE

# A .pth file runs code at every start of Python; these are known, and what they do is.
ALLOWED_PTH = {"distutils-precedence.pth", "_virtualenv.pth", "a1_coverage.pth"}


def test_no_package_runs_code_at_every_start_of_python() -> None:
    folder = Path(sysconfig.get_paths()["purelib"])

    found = {path.name for path in folder.glob("*.pth")} - ALLOWED_PTH

    assert found == set()


def test_the_bill_of_materials_lists_every_locked_package_with_its_hashes_and_license() -> None:
    printed = io.StringIO()
    call_command("sbom", stdout=printed)
    document = json.loads(printed.getvalue())

    locked = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[.*\])?==(\S+)", (ROOT / "requirements/base.txt").read_text(), re.MULTILINE
    )
    named = {(each["name"], each["version"]) for each in document["components"]}
    assert document["bomFormat"] == "CycloneDX"
    assert named == {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in locked}
    assert all(each["hashes"] for each in document["components"])
    [django] = [each for each in document["components"] if each["name"] == "django"]
    assert django["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]


def test_production_passes_the_check_of_deployments() -> None:
    environment = {"PATH": os.environ["PATH"], "FASTANCHOR_TRUST_PROXY": "1"} | SAFE
    environment |= {
        "FASTANCHOR_SECRET_KEY": "Xq7-" * 15 + "abcdefgh",
        "DATABASE_URL": os.environ["DATABASE_URL"],
    }

    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stderr


def test_cookies_of_production_belong_to_this_host_alone() -> None:
    code = (
        "from fastanchor import settings as s\n"
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.MESSAGES_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE,"
        " s.SECURE_HSTS_SECONDS, s.STAFF_SECOND_FACTOR)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"], "FASTANCHOR_STAFF_SECOND_FACTOR": "0"} | SAFE,
    )  # fmt: skip

    assert loaded.stdout == "__Host-sessionid __Host-csrftoken __Host-messages True True 31536000 True\n"
    assert getattr(settings, "SESSION_COOKIE_DOMAIN", None) is None
    assert (settings.SESSION_COOKIE_SAMESITE, settings.CSRF_COOKIE_SAMESITE) == ("Lax", "Lax")
    assert (settings.SESSION_COOKIE_PATH, settings.SESSION_COOKIE_HTTPONLY) == ("/", True)


def test_security_txt_names_a_contact_and_has_not_expired(client: Client) -> None:
    text = client.get("/.well-known/security.txt").content.decode()

    fields = dict(line.split(": ", 1) for line in text.splitlines())
    assert fields["Contact"].startswith("mailto:security@")
    assert fields["Expires"] > "2026"
    assert fields["Canonical"].endswith("/.well-known/security.txt")
