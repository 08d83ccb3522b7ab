"""The OpenAPI document: it is one, every path in it is described, and real requests and answers fit it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway import described_words
from gateway.described_bodies import BODIES
from gateway.endpoints import ENDPOINTS
from gateway.errors import GatewayError
from tests.docs.running import Reader

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

# Written by the OpenAPI Initiative (Apache License 2.0), https://spec.openapis.org/oas/3.1/schema/2022-10-07.
OPENAPI = Path(__file__).with_name("openapi-3.1.json")
STREAMS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions")
CALM = ("/v1/models", "/v1/models/gpt-4o", "/v1/key", "/v1/credits")
WHOLE = [path for path in (*ENDPOINTS, "/v1/messages/count_tokens") if not path.startswith("/v1/audio/")]


@pytest.fixture(scope="package")
def document(reader: Reader) -> Any:
    """Return the document as it is served."""
    return httpx2.get(f"{reader.product.base_url}/openapi.json", timeout=60).json()


def validator(document: Any, schema: Any) -> Draft202012Validator:
    """Return what judges values by a schema of the document."""
    return Draft202012Validator({**schema, "components": document["components"]})


def example(document: Any, path: str) -> dict[str, Any]:
    """Return the body that the document suggests."""
    (content,) = document["paths"][path]["post"]["requestBody"]["content"].values()
    return dict(content["example"])


def ask(reader: Reader, path: str, body: Any) -> httpx2.Response:
    """POST a body with the reader's key."""
    headers = {"authorization": f"Bearer {reader.key}"}
    return httpx2.post(reader.origin + path, headers=headers, json=body, timeout=30)


def references(value: Any) -> Iterator[str]:
    """Return every reference in a document."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        if isinstance(target := value.get("$ref"), str):
            yield target
        for each in value.values():
            yield from references(each)


def test_it_is_a_document_of_openapi_3_1(document: Any) -> None:
    Draft202012Validator(json.loads(OPENAPI.read_text(encoding="utf-8"))).validate(document)

    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_what_it_refers_to_is_there(document: Any) -> None:
    for reference in set(references(document)):
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        assert found


def test_every_operation_is_described_in_full(document: Any) -> None:
    names = []
    for item in document["paths"].values():
        for operation in item.values():
            names.append(operation["operationId"])
            assert operation["summary"]
            assert operation["tags"]
            (success,) = (each for status, each in operation["responses"].items() if status == "200")
            assert all("schema" in content for content in success["content"].values())
            assert {"401", "500"} <= set(operation["responses"])
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", BODIES)
def test_every_parameter_that_is_read_is_described_or_said_to_be_refused(path: str) -> None:
    body = BODIES[path]
    read = {field.name for field in msgspec.structs.fields(body.shape)}

    refused = described_words.NOT_OFFERED.get(path, frozenset())
    assert set(body.words) | refused == read
    assert not set(body.words) & refused


@pytest.mark.parametrize("path", WHOLE)
def test_what_it_suggests_is_answered_as_it_says(document: Any, reader: Reader, path: str) -> None:
    operation = document["paths"][path]["post"]
    (wanted,) = operation["requestBody"]["content"].values()
    body = example(document, path)

    answer = ask(reader, path, body)

    validator(document, wanted["schema"]).validate(body)
    assert answer.status_code == 200, answer.text
    told = operation["responses"]["200"]
    validator(document, told["content"]["application/json"]["schema"]).validate(answer.json())
    ours = {name for name in answer.headers if name.startswith(("x-fa-", "x-ratelimit-", "x-request-id"))}
    assert "x-request-id" in ours
    assert ours <= set(told["headers"]) | {"x-ratelimit-limit-requests"} | set(
        document["components"]["headers"]
    )


@pytest.mark.parametrize("path", STREAMS)
def test_the_events_of_a_stream_are_as_it_says(document: Any, reader: Reader, path: str) -> None:
    answer = ask(reader, path, {**example(document, path), "stream": True})

    told = document["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    assert lines
    for line in lines:
        validator(document, told).validate(json.loads(line))


@pytest.mark.parametrize("path", CALM)
def test_calm_paths_answer_as_it_says(document: Any, reader: Reader, path: str) -> None:
    answer = httpx2.get(reader.origin + path, headers={"authorization": f"Bearer {reader.key}"})

    described = document["paths"].get(path) or document["paths"]["/v1/models/{model_id}"]
    told = described["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator(document, told).validate(answer.json())


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/v1/chat/completions", {"temperature": 5}, 400),
        ("/v1/chat/completions", {"model": "gpt-none"}, 404),
        ("/v1/messages", {"model": "gpt-none"}, 404),
        ("/v1/responses", {"max_output_tokens": 0}, 400),
        ("/v1/embeddings", {"model": "gpt-4o"}, 400),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "[[sandbox error=500]]"}]}, 500),
    ],
)
def test_refusals_are_as_it_says(
    document: Any, reader: Reader, path: str, change: dict[str, Any], status: int
) -> None:
    answer = ask(reader, path, {**example(document, path), **change})

    assert answer.status_code == status, answer.text
    told = document["paths"][path]["post"]["responses"][str(status)]
    validator(document, told["content"]["application/json"]["schema"]).validate(answer.json())
    code = answer.json()["error"]["code"]
    assert f"`{code}`" in told["description"]
    assert code in {kind.code for kind in GatewayError.__subclasses__()}


@pytest.mark.parametrize("path", BODIES)
def test_what_is_not_in_the_schema_is_refused(document: Any, reader: Reader, path: str) -> None:
    (wanted,) = document["paths"][path]["post"]["requestBody"]["content"].values()
    body = {**example(document, path), "misspelt": 1}

    assert not validator(document, wanted["schema"]).is_valid(body)
    if path != "/v1/audio/transcriptions":
        assert ask(reader, path, body).json()["error"]["param"] == "misspelt"
