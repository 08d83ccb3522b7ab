"""The model list through both official clients: what is sold, what it can do, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import anthropic
import httpx2
import openai
import pytest
from anthropic import Anthropic
from jsonschema import Draft202012Validator
from openai import OpenAI

from gateway.endpoints import ENDPOINTS
from tests.contract.conftest import Customer
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

CALM_PATHS = {
    "/v1/credits",
    "/v1/generations/{request_id}",
    "/v1/key",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/{model_id}",
    "/v1/responses/input_tokens",
    "/v1/responses/{response_id}",
    "/v1/responses/{response_id}/cancel",
    "/v1/responses/{response_id}/input_items",
}


@pytest.fixture
def claude(product: LiveProduct, customer: Customer) -> Iterator[Anthropic]:
    """Return Anthropic's SDK as the customer uses it."""
    base_url = product.base_url.removesuffix("/v1")
    with Anthropic(base_url=base_url, api_key=customer.key, max_retries=0) as client:
        yield client


def test_openai_s_client_finds_every_model_with_its_price(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}

    model = listed["claude-sonnet-4-20250514"]
    extra = model.model_extra or {}
    assert (model.object, model.owned_by) == ("model", "anthropic")
    assert extra["kind"] == "chat"
    assert extra["input_modalities"] == ["text", "image", "file"]
    assert {"tools", "web_search"} <= set(extra["capabilities"])
    assert {name: extra["price"][name] for name in ("input", "cache_write_1h", "output", "search")} == {
        "input": "3.00",
        "cache_write_1h": "6.00",
        "output": "15.00",
        "search": "0.01",
    }
    retrieved = client.models.retrieve("claude-sonnet-4-0")
    assert retrieved.id == model.id


def test_anthropic_s_client_reads_the_same_list_page_by_page(claude: Anthropic, client: OpenAI) -> None:
    ids = [model.id for model in client.models.list()]

    first = claude.models.list(limit=3)

    assert ([model.id for model in first.data], first.has_more) == (ids[:3], True)
    assert (first.first_id, first.last_id) == (ids[0], ids[2])
    assert [model.id for model in first] == ids
    last = claude.models.list(limit=2, after_id=ids[-3])
    assert ([model.id for model in last.data], last.has_more) == (ids[-2:], False)
    back = claude.models.list(limit=2, before_id=ids[3])
    assert ([model.id for model in back.data], back.has_more) == (ids[1:3], True)


def test_anthropic_s_client_knows_a_model_when_it_sees_it(claude: Anthropic) -> None:
    model = claude.models.retrieve("claude-sonnet-4-0")

    assert (model.type, model.id, model.display_name) == (
        "model",
        "claude-sonnet-4-20250514",
        "Claude Sonnet 4",
    )
    assert model.created_at == datetime(2025, 5, 22, tzinfo=UTC)
    assert (model.max_input_tokens, model.max_tokens, model.lifecycle) == (200_000, 64_000, "active")
    assert model.capabilities is not None
    assert model.capabilities.image_input.supported
    assert model.capabilities.thinking.types.enabled.supported
    assert not model.capabilities.structured_outputs.supported
    assert model.capabilities.server_tools.web_search.supported


def test_a_key_in_anthropic_s_older_header_is_taken(product: LiveProduct, customer: Customer) -> None:
    headers = {"x-api-key": customer.key, "anthropic-version": "2023-06-01"}

    answer = httpx2.get(f"{product.base_url}/models/gpt-4o", headers=headers)

    assert answer.status_code == 200
    assert answer.json()["id"] == "gpt-4o"


def test_what_goes_wrong_is_told_in_each_client_s_own_shape(
    product: LiveProduct, claude: Anthropic, client: OpenAI
) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.models.retrieve("gpt-none")
    with pytest.raises(anthropic.AuthenticationError) as nobody:
        claude.with_options(api_key="fa_live_wrong").models.list()
    with pytest.raises(anthropic.BadRequestError) as no_page:
        claude.models.list(after_id="gpt-none")
    with pytest.raises(anthropic.BadRequestError) as no_limit:
        claude.models.list(limit=0)
    with pytest.raises(openai.NotFoundError) as plain:
        client.models.retrieve("gpt-none")

    shapes = [caught.value.body for caught in (unknown, nobody, no_page, no_limit)]
    assert [(body["type"], body["error"]["type"]) for body in shapes if isinstance(body, dict)] == [
        ("error", "not_found_error"),
        ("error", "authentication_error"),
        ("error", "invalid_request_error"),
        ("error", "invalid_request_error"),
    ]
    assert unknown.value.request_id
    assert plain.value.code == "model_not_found"


def test_a_narrow_key_sees_its_own_models_only(product: LiveProduct, customer: Customer) -> None:
    key = product.new_key(customer.organization, "--models=gpt-4.1")

    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as narrow:
        assert [model.id for model in narrow.models.list()] == ["gpt-4.1"]


def test_the_document_lists_every_path_that_is_answered(product: LiveProduct) -> None:
    document = httpx2.get(f"{product.base_url}/openapi.json").json()

    assert set(document["paths"]) == set(ENDPOINTS) | CALM_PATHS
    transcription = document["paths"]["/v1/audio/transcriptions"]["post"]
    assert set(transcription["requestBody"]["content"]) == {"multipart/form-data"}
    assert document["security"] == [{"bearer": []}, {"key": []}]


def test_the_document_tells_the_body_that_is_wanted_and_the_shape_of_refusals(product: LiveProduct) -> None:
    document = httpx2.get(f"{product.base_url}/openapi.json").json()
    operations = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]

    takes_a_body = {path for path, _, operation in operations if "requestBody" in operation}
    assert takes_a_body == set(ENDPOINTS) | {"/v1/messages/count_tokens", "/v1/responses/input_tokens"}
    for path, method, operation in operations:
        (shape,) = operation["responses"]["default"]["content"].values()
        told = Draft202012Validator({**shape["schema"], "components": document["components"]})
        refused = httpx2.request(method, product.base_url.removesuffix("/v1") + path)
        told.validate(refused.json())
        # Anthropic's has all that OpenAI's has, and more.
        assert told.is_valid({"error": refused.json()["error"]}) is not path.startswith("/v1/messages")


def test_the_document_tells_the_shape_of_stored_responses(product: LiveProduct, customer: Customer) -> None:
    document = httpx2.get(f"{product.base_url}/openapi.json").json()
    headers = {"authorization": f"Bearer {customer.key}"}
    body = {"model": "gpt-4o", "input": "Hello.", "background": True}
    kept = httpx2.post(f"{product.base_url}/responses", headers=headers, json=body).json()["id"]
    at = "/v1/responses/{response_id}"

    for method, path in (("get", at), ("get", f"{at}/input_items"), ("post", f"{at}/cancel")):
        operation = document["paths"][path][method]
        (shape,) = operation["responses"]["200"]["content"].values()
        url = product.base_url.removesuffix("/v1") + path.replace("{response_id}", kept)
        shown = httpx2.request(method, url, headers=headers, params={"stream": "false"})
        told = Draft202012Validator({**shape["schema"], "components": document["components"]})
        told.validate(shown.json())
        assert "stream" not in [each["name"] for each in operation.get("parameters", ())]
    streamed = httpx2.get(f"{product.base_url}/responses/{kept}", headers=headers, params={"stream": "true"})
    assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "stream")


def test_the_document_says_what_a_transcript_can_be(product: LiveProduct, customer: Customer) -> None:
    document = httpx2.get(f"{product.base_url}/openapi.json").json()
    answers = document["paths"]["/v1/audio/transcriptions"]["post"]["responses"]["200"]["content"]

    for kind in ("json", "text", "srt", "verbose_json", "vtt"):
        answer = httpx2.post(
            f"{product.base_url}/audio/transcriptions",
            headers={"authorization": f"Bearer {customer.key}"},
            data={"model": "whisper-1", "response_format": kind},
            files={"file": ("a.wav", b"RIFF" + b"0" * 500)},
        )
        assert answer.status_code == 200, answer.text
        sent = answer.headers["content-type"].partition(";")[0]
        assert {sent, "text/*" if sent.startswith("text/") else sent} & set(answers), kind
