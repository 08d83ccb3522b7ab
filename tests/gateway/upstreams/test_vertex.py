"""Vertex AI is the Gemini protocol at another address, opened by a key or by a service account's own signature."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway import form as f
from gateway.events import Searched
from gateway.upstreams import vertex
from gateway.upstreams.gemini import Gemini
from gateway.upstreams.vertex import AUDIENCE, LIFETIME_S, MARGIN_S, Vertex, bearer_token
from tests.gateway.attempts import attempt, channel, model

FORM = f.Form(messages=[f.Message("user", [f.Text("hi")])])
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def credential(key: Any = KEY, **fields: Any) -> str:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem}
    return json.dumps(account | {"client_email": "svc@p.iam.gserviceaccount.com"} | fields)


def headers(api_key: str) -> dict[str, str]:
    return dict(Vertex().prepare(FORM, attempt(channel=channel("google", "vertex", api_key=api_key))).headers)


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check a token's signature and return its head and claims."""
    head, claims, signature = token.split(".")
    KEY.public_key().verify(unpadded(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
    return json.loads(unpadded(head)), json.loads(unpadded(claims))


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_model_stands_below_its_publisher() -> None:
    to = attempt(channel=channel("google", "vertex"), upstream_model="gemini-2.5-pro")

    assert Vertex().prepare(FORM, to).target == "/publishers/google/models/gemini-2.5-pro:generateContent"


def test_an_api_key_goes_into_its_header() -> None:
    sent = headers("AQ.some-key")

    assert sent["x-goog-api-key"] == "AQ.some-key"
    assert "authorization" not in sent


def test_a_service_account_signs_for_itself() -> None:
    head, claims = decoded(headers(credential())["authorization"].removeprefix("Bearer "))

    assert head == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert claims["iss"] == claims["sub"] == "svc@p.iam.gserviceaccount.com"
    assert claims["aud"] == AUDIENCE
    assert claims["exp"] - claims["iat"] == LIFETIME_S


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    account = credential(private_key_id="k2")
    first = bearer_token(account, 1_000.0)

    assert bearer_token(account, 1_000.0 + LIFETIME_S - MARGIN_S - 1) == first
    later = bearer_token(account, 1_000.0 + LIFETIME_S - MARGIN_S)
    assert later != first
    assert decoded(later)[1]["iat"] == 1_000 + LIFETIME_S - MARGIN_S


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "{}",
        credential(private_key="nonsense"),
        credential(private_key=7),
        credential(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_a_credential_that_cannot_be_read_sends_none(broken: str) -> None:
    assert set(headers(broken)) == {"content-type"}


def test_many_credentials_do_not_fill_the_memory() -> None:
    for number in range(200):
        bearer_token("{" + str(number), 0.0)

    assert len(vertex._tokens) <= 64


def test_blocked_domains_are_excluded() -> None:
    to = attempt(channel=channel("google", "vertex"))

    def sent(**fields: Any) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(
            Vertex().prepare(f.Form(**{"messages": FORM.messages, **fields}), to).body
        )
        return body

    assert sent(tools=[f.WebSearch(blocked_domains=["b.com"])])["tools"] == [
        {"googleSearch": {"excludeDomains": ["b.com"]}}
    ]


def test_signatures_stay_with_the_service_that_made_them() -> None:
    parts: list[dict[str, Any]] = [
        {"text": "hmm", "thought": True, "thoughtSignature": "s0"},
        {"text": "Hi", "thoughtSignature": "s1"},
        {"functionCall": {"id": "c", "name": "weather", "args": {}}, "thoughtSignature": "s2"},
    ]
    body = json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}).encode()
    bare = [{"text": "Hi"}, {"functionCall": {"id": "c", "name": "weather", "args": {}}}]

    def turn(made_by: Gemini, sent_to: Gemini) -> Any:
        (choice,) = made_by.answer(body, FORM).choices
        said = f.Message("assistant", [part for part in choice.parts if not isinstance(part, Searched)])
        wanted = f.Form(messages=[*FORM.messages, said])
        return json.loads(sent_to.prepare(wanted, attempt()).body)["contents"][1]["parts"]

    # Vertex AI takes no ids of models before Gemini 3.
    called = {"functionCall": {"name": "weather", "args": {}}}
    assert turn(Vertex(), Vertex()) == [*parts[:2], called | {"thoughtSignature": "s2"}]
    assert turn(Gemini(), Gemini()) == parts
    assert turn(Vertex(), Gemini()) == bare
    assert turn(Gemini(), Vertex()) == [bare[0], called]


@pytest.mark.parametrize(("traits", "has_ids"), [(frozenset(), False), (frozenset({"thinking_level"}), True)])
def test_ids_of_calls_are_told_to_models_that_give_some(traits: frozenset[str], *, has_ids: bool) -> None:
    calls: list[f.Part] = [f.ToolCall("c", "weather", "{}")]
    results: list[f.Part] = [f.ToolResult("c", [f.Text("rain")])]
    turns = [*FORM.messages, f.Message("assistant", calls), f.Message("user", results)]
    to = attempt(channel=channel("google", "vertex"), model=model(traits=traits))

    _, called, told = json.loads(Vertex().prepare(f.Form(messages=turns), to).body)["contents"]

    assert ("id" in called["parts"][0]["functionCall"]) == has_ids
    assert ("id" in told["parts"][0]["functionResponse"]) == has_ids
