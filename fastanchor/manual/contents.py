"""The pages of the documentation, in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: its place in the address, its name in the menu, what it is about, and its Markdown below ``docs/``."""

    name: str
    label: str
    about: str
    folder: str = "site"

    @property
    def file(self) -> str:
        """Return the path of its text below ``docs/``."""
        return f"{self.folder}/{self.name}.md".lstrip("/")


@dataclass(frozen=True, slots=True)
class Chapter:
    """Pages under one title of the menu."""

    title: str
    entries: tuple[Entry, ...]


CHAPTERS = (
    Chapter(
        "Start",
        (
            Entry("quickstart", "Quickstart", "From a new key to a streamed answer, in two minutes."),
            Entry(
                "authentication",
                "Authentication",
                "How a request says who sends it, and how to keep keys safe.",
            ),
            Entry("models", "Models", "Which models there are, what each can do, and what it costs now."),
            Entry("clients", "SDKs and tools", "The set-up of every client that our tests drive.", folder=""),
        ),
    ),
    Chapter(
        "Generate",
        (
            Entry(
                "api", "The API at a glance", "Base URLs, every path, and what all of them have in common."
            ),
            Entry("chat-completions", "Chat completions", "OpenAI's best-known format, with any model."),
            Entry(
                "responses", "Responses", "Conversations that we keep for you, and work in the background."
            ),
            Entry("messages", "Messages", "Anthropic's format, with any model."),
            Entry("streaming", "Streaming", "Events, silence, usage, and streams that break."),
            Entry(
                "routing",
                "Routing and fallbacks",
                "Which models to turn to when one is away, and whose servers may answer.",
            ),
            Entry(
                "own-keys",
                "Your own provider keys",
                "Let your own account at a provider serve, and pay it directly.",
            ),
            Entry("embeddings", "Embeddings", "Texts as vectors."),
            Entry(
                "media", "Pictures and sound", "Make pictures, read aloud, write down recordings, moderate."
            ),
            Entry(
                "formats", "What providers can be told", "Every parameter, provider by provider.", folder=""
            ),
        ),
    ),
    Chapter(
        "When things break",
        (
            Entry("errors", "Errors", "Every code, what to do about it, and what your SDK makes of it."),
            Entry(
                "limits",
                "Rate limits and budgets",
                "How much in a minute, how much in a month, and the headers.",
            ),
            Entry(
                "broken-streams", "Who pays when things break", "What an answer costs that did not end well."
            ),
        ),
    ),
    Chapter(
        "Money and data",
        (
            Entry("receipts", "Cost and receipts", "What a request cost, to the last digit, and why."),
            Entry("credit", "Credit and refunds", "How credit comes, goes, expires, and is paid back."),
            Entry("privacy", "Privacy", "What is stored, for how long, and what never is."),
        ),
    ),
)
ENTRIES = tuple(entry for chapter in CHAPTERS for entry in chapter.entries)
BY_NAME = {entry.name: entry for entry in ENTRIES}


def neighbours(name: str) -> tuple[Entry | None, Entry | None]:
    """Return the pages before and after one."""
    at = ENTRIES.index(BY_NAME[name])
    return (
        ENTRIES[at - 1] if at else None,
        ENTRIES[at + 1] if at + 1 < len(ENTRIES) else None,
    )
