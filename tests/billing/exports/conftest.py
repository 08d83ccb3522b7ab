"""Exports into a storage in memory, and a kind of export that is small enough to watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from accounts.models import Organization, User
from billing.exports import jobs, writers
from billing.exports.writers import Piece
from billing.models import Export


@pytest.fixture(autouse=True)
def _in_memory(settings: Settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "exports": memory}


@pytest.fixture
def alice(organization: Organization) -> User:
    return organization.members.get()


class Letters:
    """Writes the letters that are wanted, one a piece."""

    formats = ("txt",)

    def __init__(self) -> None:
        # What a test does just before a letter is written.
        self.before: Callable[[str, Export], object] = lambda letter, export: None

    def title(self, export: Export) -> str:
        return f"Letters {export.wanted['letters']}"

    def stem(self, export: Export) -> str:
        return "letters"

    def rows_about(self, export: Export) -> int | None:
        return len(export.wanted["letters"])

    def pieces(self, export: Export, position: str) -> Iterator[Piece]:
        letters = export.wanted["letters"]
        for number in range(int(position or 0), len(letters)):
            self.before(letters[number], export)
            yield Piece(letters[number].encode(), 1, str(number + 1))


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    writer = Letters()
    monkeypatch.setitem(writers._writers, "letters", writer)
    return writer


def ask_for(organization: Organization, letters: str) -> Export:
    return jobs.ask(
        organization=organization,
        by=organization.members.get(),
        kind="letters",
        file_format="txt",
        wanted={"letters": letters},
    )
