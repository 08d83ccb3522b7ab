"""The contract with Stripe, held by the fake always, and by Stripe itself where a test key is there."""

from __future__ import annotations

import os

import pytest
import stripe

from tests.fakestripe import contract
from tests.fakestripe.contract import CONTRACT, Clause
from tests.fakestripe.running import KEY, RunningStripe


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)
def test_the_fake_keeps_the_contract(client: stripe.StripeClient, clause: Clause) -> None:
    clause(client)


@pytest.mark.timeout(120)
@pytest.mark.skipif("STRIPE_TEST_KEY" not in os.environ, reason="STRIPE_TEST_KEY names no account")
@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)
def test_stripe_keeps_the_contract(clause: Clause) -> None:
    clause(stripe.StripeClient(os.environ["STRIPE_TEST_KEY"], max_network_retries=2))


def test_the_contract_is_a_program(fake: RunningStripe, capsys: pytest.CaptureFixture[str]) -> None:
    broken = contract.main([fake.base_url, KEY])

    told = capsys.readouterr().out.splitlines()
    assert broken == 0, told
    assert len(told) == len(CONTRACT)
    assert "a key is one operation: holds" in told


def test_a_broken_clause_is_told_of(fake: RunningStripe, capsys: pytest.CaptureFixture[str]) -> None:
    broken = contract.main([fake.base_url, "sk_live_never"])

    assert broken == len(CONTRACT)
    assert "it takes no live key" in capsys.readouterr().out
