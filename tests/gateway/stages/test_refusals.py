"""A refusal names whose budget does not reach, of which window, what is left and needed, and when it starts anew."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from billing.refusals import Budget, InsufficientCredit, Limits, Minute
from fastanchor.lib.windows import Window
from gateway.errors import InsufficientQuota
from gateway.stages.reserve import _too_little
from tests.gateway.stages.test_what_is_held import CHAT, call, user

AT = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
MINUTE = Minute(1, 1, 1)


def told(budget: Budget | None, *, needed_nano: int = 2_000_000_000, affordable: int = 50) -> str:
    refusal = InsufficientCredit(
        Limits(MINUTE, MINUTE),
        budget=budget,
        left_nano=1_500_000_000,
        needed_nano=needed_nano,
        affordable_tokens=affordable,
        asked_tokens=100,
    )
    error = _too_little(refusal, call(CHAT, messages=user()))
    assert isinstance(error, InsufficientQuota)
    assert (error.status, error.code) == (402, "insufficient_quota")
    return error.message


@pytest.mark.parametrize(
    ("subject", "window", "said"),
    [
        ("key_1", Window.DAY, "daily budget of this API key"),
        ("user_7", Window.WEEK, "weekly budget of the member who made this API key"),
        ("org_1", Window.MONTH, "monthly budget of this organization"),
        ("org_1", Window.LIFETIME, "lifetime budget of this organization"),
    ],
)
def test_a_refusal_names_the_budget_and_both_numbers(subject: str, window: Window, said: str) -> None:
    message = told(Budget(subject, window, AT))

    assert "may cost up to $2.000000000 for 100 output tokens" in message
    assert f"but $1.500000000 of the {said} is available, enough for 50 output tokens." in message
    assert message.endswith("Raise the budget in the dashboard, or ask for fewer 'max_completion_tokens'.")


@pytest.mark.parametrize(
    ("window", "anew"),
    [
        (Window.DAY, "It starts anew at 00:00 UTC. "),
        (Window.WEEK, "It starts anew on Monday, 4 January 2027 at 00:00 UTC. "),
        (Window.MONTH, "It starts anew on 1 January 2027 at 00:00 UTC. "),
        (Window.LIFETIME, "output tokens. Raise the budget"),
    ],
)
def test_a_refusal_says_when_the_budget_starts_anew(window: Window, anew: str) -> None:
    assert anew in told(Budget("org_1", window, AT))
    assert ("anew" in told(Budget("org_1", window, AT))) is (window is not Window.LIFETIME)


def test_what_costs_nothing_is_refused_by_a_budget_that_is_used_up() -> None:
    assert told(Budget("key_1", Window.DAY, AT), needed_nano=0) == (
        "The daily budget of this API key is used up, and without any not even a free request is served. "
        "It starts anew at 00:00 UTC. Raise the budget in the dashboard."
    )


def test_an_empty_wallet_is_no_budget() -> None:
    assert "of the credit is available" in told(None)
    assert "budget" not in told(None)
