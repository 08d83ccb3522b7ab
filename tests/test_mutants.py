"""Twelve controls, each taken out of a copy of the product: a test that is named beside it must fail.

The suite checks that every control and every test is where the list says; ``--full`` takes the controls out, which takes
some minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A control, how it is taken out, and the test that notices."""

    control: str
    file: str
    text: str
    instead: str
    test: str


MUTANTS = (
    Mutant(
        "hold",
        "billing/lua/admit.lua",
        "if left < hold or left <= 0 then",
        "if false then",
        "tests/billing/test_holds.py::test_a_racing_crowd_is_admitted_exactly_as_far_as_the_money_goes",
    ),
    Mutant(
        "once per request",
        "billing/settlement.py",
        "ON CONFLICT DO NOTHING\n",
        "",
        "tests/billing/test_settlement.py::test_a_batch_that_comes_twice_counts_once_and_ends_its_holds_again",
    ),
    Mutant(
        "signature",
        "billing/stripe_api/events.py",
        "if not any(_is_signed(body, signature, secret) for secret in secrets):",
        "if not secrets:",
        "tests/billing/stripe/test_webhooks.py::test_another_secret_or_another_body_is_refused",
    ),
    Mutant(
        "tolerance",
        "billing/stripe_api/events.py",
        "TOLERANCE_S = 300\n",
        "TOLERANCE_S = 300_000\n",
        "tests/billing/stripe/test_webhooks.py::test_a_signature_of_another_time_is_refused",
    ),
    Mutant(
        "scope of a key",
        "gateway/stages/route.py",
        "if caller.allowed_models and model.id not in caller.allowed_models:",
        "if False:",
        "tests/gateway/stages/test_what_is_held.py::test_a_key_for_other_models_asks_none_on_any_path",
    ),
    Mutant(
        "revocation",
        "accounts/keyring.py",
        "        if caller.revoked:\n",
        "        if False:\n",
        "tests/accounts/test_keyring.py::test_a_revoked_key_is_refused_from_the_moment_it_is_forgotten",
    ),
    Mutant(
        "isolation of organizations",
        "accounts/keys.py",
        "ApiKey.objects.filter(organization=organization, kind=KeyKind.PROGRAM)",
        "ApiKey.objects.filter(kind=KeyKind.PROGRAM)",
        "tests/pages/test_access_matrix.py::test_nobody_reads_or_changes_what_is_another_s",
    ),
    Mutant(
        "addresses of upstreams",
        "fastanchor/lib/public.py",
        "if not addresses or not all(is_public(address) for address in addresses):",
        "if not addresses:",
        "tests/gateway/upstreams/test_ssrf.py::test_no_vector_is_saved_or_connected_to",
    ),
    Mutant(
        "redaction of logs",
        "fastanchor/lib/redaction.py",
        "    for pattern, replacement in _SECRETS:\n",
        "    for pattern, replacement in ():\n",
        "tests/test_logs.py::test_arguments_fields_and_tracebacks_are_cleaned_too",
    ),
    Mutant(
        "append-only audit log",
        "accounts/migrations/0010_audit_log.py",
        "        migrations.RunSQL(GUARD, NO_GUARD),\n",
        "",
        "tests/accounts/test_audit.py::test_the_database_refuses_to_change_an_entry",
    ),
    Mutant(
        "rate limit",
        "billing/lua/admit.lua",
        "if rpm.excess > dust then",
        "if false then",
        "tests/billing/test_holds.py::test_the_sixth_request_of_a_minute_is_refused_with_the_time_to_wait",
    ),
    Mutant(
        "second factor of staff",
        "accounts/staff.py",
        "    if not settings.STAFF_SECOND_FACTOR or",
        "    if True or",
        "tests/pages/test_staff_factor.py::test_without_a_second_factor_every_page_of_the_admin_leads_to_setting_one_up",
    ),
)


def test_there_are_twelve() -> None:
    assert len({mutant.control for mutant in MUTANTS}) == 12


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.control)
def test_each_control_and_its_test_are_where_the_list_says(mutant: Mutant) -> None:
    path, _, name = mutant.test.partition("::")

    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.text) == 1
    assert re.search(rf"def {name}\(", (ROOT / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout, without what is installed or built."""
    folder = tmp_path_factory.mktemp("mutants") / "product"
    unwanted = shutil.ignore_patterns(
        ".git", ".venv", ".tools", ".local", "node_modules", "__pycache__", ".*_cache"
    )
    shutil.copytree(ROOT, folder, ignore=unwanted, symlinks=True)
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.control)
def test_a_control_that_is_taken_out_is_missed(mutant: Mutant, copy: Path, *, is_full: bool) -> None:
    if not is_full:
        pytest.skip("Takes minutes; --full runs it.")
    path = copy / mutant.file
    whole = path.read_text(encoding="utf-8")

    assert _status(copy, mutant.test) == 0
    path.write_text(whole.replace(mutant.text, mutant.instead), encoding="utf-8")
    try:
        assert _status(copy, mutant.test) == 1
    finally:
        path.write_text(whole, encoding="utf-8")


def _status(copy: Path, test: str) -> int:
    """Return the exit status of pytest: 0 for passed, 1 for failed; anything else is neither."""
    ours = ("DATABASE_URL", "REDIS_URL", "FASTANCHOR_", "PYTEST_", "DJANGO_", "STRIPE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode
