"""Whatever a caller sends is answered in the envelope, quickly, and tells nothing; in full about 4,600 cases."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest

from tests.contract.conftest import Customer
from tests.hostile.campaign import Sent, cases, run
from tests.hostile.verdicts import Answer, faults
from tests.live.product import CHANGES_ARRIVE_S, LiveProduct

pytestmark = pytest.mark.timeout(900)

SHORT = 180
EXAMPLES = 1_000


def callers(product: LiveProduct, customer: Customer) -> dict[str, str]:
    """Return a key in each state that one may be in."""
    revoked = product.new_key(customer.organization)
    query = "SELECT id FROM accounts_apikey WHERE organization_id = %s ORDER BY created_at DESC LIMIT 1"
    product.command("apikey_revoke", product.rows(query, customer.organization)[0]["id"])
    _, poor = product.new_customer(credit_cents=0)
    good = product.new_key(product.new_organization(plan="enterprise", credit_cents=100_000))
    return {"nobody": "", "a stranger": "fa_live_" + "0" * 36, "good": good, "poor": poor, "revoked": revoked}


def short_form(sent: list[Sent], draw: random.Random) -> list[Sent]:
    """Return some of each kind, and every raw socket."""
    kinds = {case.kind for case in sent}
    some = [case for case in sent if case.kind == "raw sockets"]
    for kind in sorted(kinds - {"raw sockets"}):
        of_kind = [case for case in sent if case.kind == kind]
        some += draw.sample(of_kind, min(len(of_kind), SHORT // len(kinds)))
    return some


async def test_nothing_that_a_caller_sends_breaks_the_product(
    product: LiveProduct, customer: Customer, seed: int, *, is_full: bool
) -> None:
    draw = random.Random(seed)
    sent = cases(callers(product, customer), draw, examples=EXAMPLES if is_full else 60)
    secrets = [
        product.environment[name]
        for name in (
            "FASTANCHOR_SECRET_KEY",
            "FASTANCHOR_API_KEY_PEPPERS",
            "DATABASE_URL",
            "FASTANCHOR_CHANNEL_KEYS",
        )
    ]
    await asyncio.sleep(CHANGES_ARRIVE_S)

    result = await run(product.base_url, sent if is_full else short_form(sent, draw), secrets)

    sys.stdout.write("\n".join([result.table(), *result.faults]))
    assert result.faults == []
    assert "Traceback" not in product.new_log_lines()
    assert not is_full or result.counts.total() >= 2_000


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(500, {"content-type": "application/json", "x-request-id": "req_1"}, b""), "is a 500"),
        (
            Answer(404, {"content-type": "text/html", "x-request-id": "req_1"}, b"<h1>Not found</h1>"),
            "is HTML",
        ),
        (Answer(400, {"content-type": "application/json"}, b'{"error": {}}'), "has no request id"),
        (
            Answer(400, {"content-type": "text/plain", "x-request-id": "req_1"}, b"Bad."),
            "is text/plain instead of JSON",
        ),
        (
            Answer(400, {"content-type": "application/json", "x-request-id": "req_1"}, b'{"detail": "x"}'),
            'is no envelope: \'{"detail": "x"}\'',
        ),
        (Answer(200, {}, b"psycopg says no"), "leaks 'psycopg'"),
        (Answer(200, {}, b"my-secret"), "leaks 'my-secret'"),
    ],
)
def test_the_judge_sees_what_is_wrong(answer: Answer, fault: str) -> None:
    assert fault in faults(answer, ["my-secret"])
