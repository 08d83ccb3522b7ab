"""Every operation of /v1 with every kind of key and every method: no foreign answer, no 5xx, always the envelope."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.live.product import LiveProduct

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
KINDS = ("none", "nonsense", "in the address", "another organization's", "revoked", "expired")
CANARY = "canary-of-ada-7391"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def owner(live_gateway: LiveProduct) -> dict[str, str]:
    """Return what ada has: a key, a stored response, a request."""
    organization, key = live_gateway.new_customer()
    answer = httpx2.post(
        f"{live_gateway.base_url}/responses",
        json={"model": "gpt-4o", "input": f"Hello {CANARY}", "store": True},
        headers={"authorization": f"Bearer {key}"},
        timeout=30,
    )
    return {
        "organization": organization,
        "key": key,
        "response_id": answer.json()["id"],
        "request_id": answer.headers["x-request-id"],
    }


def key_of(kind: str, product: LiveProduct) -> str:
    organization, key = product.new_customer()
    match kind:
        case "none":
            return ""
        case "nonsense":
            return "fa_live_" + "0" * 36
        case "revoked":
            [row] = product.rows("SELECT id FROM accounts_apikey WHERE organization_id = %s", organization)
            product.command("apikey_revoke", row["id"])
        case "expired":
            with_expiry = "UPDATE accounts_apikey SET expires_at = now() - interval '1 day' WHERE organization_id = %s RETURNING id"
            product.rows(with_expiry, organization)
        case _:
            pass
    return key


def operations(product: LiveProduct, owner: dict[str, str]) -> list[str]:
    """Return every path of the OpenAPI document, with ada's ids in it."""
    document: dict[str, Any] = httpx2.get(f"{product.base_url}/openapi.json").json()
    own = {"response_id": owner["response_id"], "request_id": owner["request_id"], "id": owner["request_id"]}
    paths = []
    for path in document["paths"]:
        filled = path
        for name, value in own.items():
            filled = filled.replace("{" + name + "}", value)
        paths.append(filled.removeprefix("/v1"))
    return paths


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_reads_or_changes_what_is_another_s(
    live_gateway: LiveProduct, owner: dict[str, str], kind: str
) -> None:
    key, found = key_of(kind, live_gateway), []
    headers = {"authorization": f"Bearer {key}"} if key and kind != "in the address" else {}
    parameters = {"key": owner["key"], "api_key": owner["key"]} if kind == "in the address" else {}
    with httpx2.Client(
        base_url=live_gateway.base_url, headers=headers, params=parameters, timeout=30
    ) as client:
        for path in operations(live_gateway, owner):
            for method in METHODS:
                answer = client.request(method, path, json={} if method != "GET" else None)
                found += [f"{method} {path} {each}" for each in faults(answer, path, kind, owner)]

    assert found == []
    own = httpx2.get(
        f"{live_gateway.base_url}/responses/{owner['response_id']}",
        headers={"authorization": f"Bearer {owner['key']}"},
    )
    assert own.status_code == 200


def faults(answer: httpx2.Response, path: str, kind: str, owner: dict[str, str]) -> list[str]:
    told = [CANARY, owner["organization"], owner["key"]]
    found = [f"tells {word}" for word in told if word in answer.text]
    if answer.status_code >= 500:
        found.append(f"answers {answer.status_code}")
    if answer.status_code >= 400 and not _is_envelope(answer):
        found.append(f"says it in no envelope: {answer.text[:80]}")
    is_named = owner["response_id"] in path or owner["request_id"] in path
    if answer.status_code < 400 and is_named:
        found.append(f"answers {answer.status_code} of what is ada's")
    if (
        kind in {"none", "nonsense", "revoked", "expired"}
        and answer.status_code < 400
        and not _is_public(path)
    ):
        found.append(f"answers {answer.status_code} without a key")
    return found


def _is_public(path: str) -> bool:
    return path.startswith("/models") or path in {"/openapi.json", "/docs", "/prices"}


def _is_envelope(answer: httpx2.Response) -> bool:
    try:
        body = json.loads(answer.text)
    except ValueError:
        return False
    return isinstance(body, dict) and "error" in body and "x-request-id" in answer.headers
