"""What scripts get from the management commands: with ``--json`` exactly one JSON object on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from tests.live.product import LiveProduct
from tests.live.programs import ROOT

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)


def run(product: LiveProduct, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments, "--json"],
        cwd=ROOT,
        env=product.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_a_script_creates_a_customer_a_channel_and_a_key_that_works(product: LiveProduct) -> None:
    base_url = product.sandboxes[0].base_url
    channel = run(product, "channel_add", "--provider=mistral", f"--base-url={base_url}", "--api-key=none")
    customer = run(
        product, "organization_create", "--email=ada@example.com", "--plan=payg", "--credit-cents=100"
    )
    key = run(product, "apikey_create", f"--organization={customer['id']}", "--rpm=7")

    reply = httpx2.get(f"{product.base_url}/models", headers={"authorization": f"Bearer {key['secret']}"})
    assert channel["id"].startswith("chan_")
    assert product.balance(customer["id"]) == 1_000_000_000
    assert reply.status_code == 200
