"""Twelve controls, each taken out of a copy of the product: a test that is named beside it must fail.

The suite checks that every control and every test is where the list says, and takes one out that needs no database, drawn
by the seed; ``--full`` takes out all twelve, which takes some minutes.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Of pytest; whatever else it answers with is neither.
PASSED, FAILED = 0, 1
pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A control, how it is taken out, and the test that notices."""

    control: str
    file: str
    text: str
    instead: str
    test: str
    # Its test needs no database, which is half a minute's migrations.
    is_quick: bool = False


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
        is_quick=True,
    ),
    Mutant(
        "isolation of organizations",
        "accounts/keys.py",
        "ApiKey.objects.filter(organization=organization, kind=KeyKind.PROGRAM)",
        "ApiKey.objects.filter(kind=KeyKind.PROGRAM)",
        "tests/pages/test_isolation.py::test_what_is_another_s_is_not_there[accounts:revoke-key]",
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
        is_quick=True,
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
    path, _, name = mutant.test.partition("[")[0].partition("::")

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


def test_controls_that_are_taken_out_are_missed(copy: Path, seed: int, *, is_full: bool) -> None:
    quick = [mutant for mutant in MUTANTS if mutant.is_quick]
    mutants = MUTANTS if is_full else random.Random(seed).sample(quick, 1)

    # That they pass where nothing is missing the suite shows by itself.
    assert not is_full or _status(copy, *[mutant.test for mutant in mutants]) == PASSED
    survived = [mutant.control for mutant in mutants if not _is_caught(mutant, copy)]
    assert survived == []


def _is_caught(mutant: Mutant, copy: Path) -> bool:
    path = copy / mutant.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.text, mutant.instead), encoding="utf-8")
    try:
        return _status(copy, mutant.test) == FAILED
    finally:
        path.write_text(whole, encoding="utf-8")


def _status(copy: Path, *tests: str) -> int:
    ours = ("DATABASE_URL", "REDIS_URL", "FASTANCHOR_", "PYTEST_", "DJANGO_", "STRIPE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode
