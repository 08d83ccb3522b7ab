"""What was used costs what the price list says, to the last nano."""

from __future__ import annotations

import pytest
from openai import OpenAI

from fastanchor.lib.money import NANOS_PER_USD
from tests.live.product import LiveProduct

# The product page's table: cents per million tokens of input and output.
TABLE = {
    "gpt-4o": (250, 1000),
    "gpt-4.1": (200, 800),
    "claude-sonnet-4-20250514": (300, 1500),
    "claude-haiku-4-20250514": (80, 400),
    "gemini-3.0-pro": (125, 500),
    "deepseek-v4-flash": (20, 40),
    "deepseek-v4-pro": (60, 120),
    "qwen-3.7-max": (10, 40),
}


@pytest.mark.parametrize("model", TABLE)
def test_a_million_tokens_cost_the_tables_price(product: LiveProduct, model: str) -> None:
    organization, key = product.new_customer(credit_cents=10_000)

    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client:
        for numbers in ("usage_in=1000000 usage_out=0", "usage_in=0 usage_out=1000000"):
            client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": f"[[sandbox tokens=3 {numbers}]]"}]
            )

    product.wait_settled(organization, rows=2)
    costs = [row["cost_nano"] for row in product.usage_rows(organization)]
    assert costs == [cents * NANOS_PER_USD // 100 for cents in TABLE[model]]
    assert product.balance(organization) == 100 * NANOS_PER_USD - sum(costs)
