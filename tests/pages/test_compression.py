from __future__ import annotations

import gzip

import pytest
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


def test_a_page_is_compressed_for_those_who_take_it(client: Client, catalog: None) -> None:
    plain = client.get(reverse("pricing"))
    packed = client.get(reverse("pricing"), headers={"accept-encoding": "gzip"})

    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    assert len(packed.content) * 3 < len(plain.content)
    assert gzip.decompress(packed.content).decode().count("<tr") == plain.content.decode().count("<tr")


def test_answers_to_programs_are_sent_as_they_are(client: Client) -> None:
    answer = client.get("/v1/openapi.json", headers={"accept-encoding": "gzip"})

    assert answer.status_code == 200
    assert "Content-Encoding" not in answer
