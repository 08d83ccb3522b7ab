"""The cast: Acme, a provider, and models of it on demand."""

from __future__ import annotations

import functools

import pytest

from catalog.models import Provider
from tests.catalog.builders import BuildModel, build_model_of


@pytest.fixture
def acme(db: None) -> Provider:
    return Provider.objects.create(slug="acme", name="Acme", base_url="https://acme.example/v1")


@pytest.fixture
def build_model(acme: Provider) -> BuildModel:
    return functools.partial(build_model_of, acme)
