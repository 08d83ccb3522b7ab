"""What the product page sells costs what it says, at any number of tokens, and five dollars buy exactly what they should."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.holds import Ask, Hold, Holds
from billing.refusals import InsufficientCredit
from catalog.pricing import Usage, cost_picos
from catalog.publish import build_snapshot
from fastanchor.lib.money import NANOS_PER_USD
from tests.billing.test_holds import Bank, ask, bank, book, valkey
from tests.live.product import LiveProduct
from tests.money.raw import chat_body, volley
from tests.money.test_costs import TABLE

__all__ = ["bank", "book", "valkey"]

MILLION = 1_000_000
# A cent per million tokens is this much per token.
PICOS = 10_000
# What a token of input costs of the cheapest model, in nano-USD: $0.10 per million.
QWEN_NANO = 100


def test_every_number_of_tokens_costs_the_tables_price_in_pico_dollars(db: None) -> None:
    call_command("load_catalog", "--product-only", verbosity=0)
    models = build_snapshot().models

    for model, (input_cents, output_cents) in TABLE.items():
        price = models[model].price_at(timezone.now().timestamp())
        for tokens in (1, 999, MILLION, 123_457):
            assert cost_picos(price, Usage(tokens, 0, 0, 0, 0)) == tokens * input_cents * PICOS, model
            assert cost_picos(price, Usage(0, 0, 0, tokens, 0)) == tokens * output_cents * PICOS, model
            assert (
                cost_picos(price, Usage(tokens, 0, 0, tokens, 0))
                == tokens * (input_cents + output_cents) * PICOS
            )


@pytest.mark.parametrize("pieces", [[50 * MILLION], [MILLION] * 50, [1, 999, 123_457, 49_875_543]])
async def test_admission_lets_five_dollars_hold_fifty_million_tokens_and_not_one_more(
    bank: Bank, book: Holds, pieces: list[int]
) -> None:
    bank.balance_nano = 5 * NANOS_PER_USD

    for number, tokens in enumerate(pieces):
        assert isinstance(await book.place(_input_only(number, tokens)), Hold)

    with pytest.raises(InsufficientCredit) as refusal:
        await book.place(_input_only(99, 1))
    assert (refusal.value.left_nano, refusal.value.needed_nano) == (0, QWEN_NANO)


async def test_admission_refuses_what_is_one_token_more_than_five_dollars(bank: Bank, book: Holds) -> None:
    bank.balance_nano = 5 * NANOS_PER_USD

    with pytest.raises(InsufficientCredit):
        await book.place(_input_only(1, 50 * MILLION + 1))


def _input_only(number: int, tokens: int) -> Ask:
    picos = tokens * QWEN_NANO * 1_000
    return ask(number, input_tokens=tokens, input_cost_picos=picos, output_tokens=0, least_output_tokens=0)


@pytest.mark.timeout(180)
async def test_five_dollars_buy_exactly_fifty_million_tokens_of_qwens_input(product: LiveProduct) -> None:
    organization = product.new_organization(plan="enterprise", credit_cents=500)
    _widen(product, organization)
    key = product.new_key(organization)
    body = chat_body(
        f"[[sandbox tokens=1 usage_in={MILLION} usage_out=0]]", model="qwen-3.7-max", max_tokens=1
    )

    first = await volley(product.base_urls, key, body, 49)
    product.wait_settled(organization, rows=49)
    left = product.balance(organization)
    last = await volley(product.base_urls, key, body, 1)
    product.wait_settled(organization, rows=50)
    beyond = await volley(product.base_urls, key, body, 2)

    assert [status for status, _ in (*first, *last, *beyond)] == [200] * 50 + [402] * 2
    assert (left, product.balance(organization)) == (MILLION * QWEN_NANO, 0)
    records = product.usage_rows(organization)
    assert sum(row["input_tokens"] for row in records) == 50 * MILLION
    assert sum(len(sandbox.log()) for sandbox in product.sandboxes) == 50


def _widen(product: LiveProduct, organization: str) -> None:
    """Lift the limit of tokens a minute, which fifty million in one minute are not about."""
    changed = product.rows(
        "UPDATE accounts_organization SET tokens_per_minute = 2000000000 WHERE id = %s RETURNING id",
        organization,
    )
    assert len(changed) == 1
