"""Plausible text about a prompt: the same seed gives the same sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from random import Random

_TOKEN = re.compile(r"\s*\w{1,10}|\s*[^\w\s]|\s+")
_WORD = re.compile(r"[^\W\d_]{4,}(?:-[^\W\d_]+)*")
_MOST_TOPICS = 8
_SHORTEST, _LONGEST = 24, 96

_COMMON = frozenset(
    re.findall(
        r"\w+",
        """about after again also answer because been before being between both call could does down each explain from
        give have help here into just know like list make many more most much need only other over please reply said
        same should show some such tell than that their them then there these they this those using very want were
        what when where which while will with word words would write your""",
    )
)

_OPENINGS = (
    "The short answer is that {a} depends on {b}.",
    "It helps to look at {a} first and to leave {b} for later.",
    "There are three points to keep in mind about {a}: cost, time and {b}.",
    "Nothing about {a} is hard once the terms are settled.",
)
_SENTENCES = (
    "Most people meet {a} long before they think about {b}.",
    "A small example makes {a} clear: change one thing, measure, and compare it with {b}.",
    "In practice, {a} and {b} are two views of the same question.",
    "When {a} grows, {b} has to be watched more closely.",
    "If {b} is missing, start with {a} and add the rest step by step.",
    "The usual mistake is to treat {a} as if it were {b}.",
    "Seen from a distance, {a} is mostly a matter of patience.",
    "That is why {a} is worth the effort, even where {b} looks cheaper.",
    "Write down what you expect of {a} before you try it.",
    "With that in place, {b} follows almost by itself.",
)


def seeded(*parts: object) -> Random:
    """Return a random source that depends on ``parts`` only."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "replace")).digest()
    return Random(int.from_bytes(digest[:8]))  # noqa: S311 - text, not secrets


def topics(text: str) -> list[str]:
    """Return the words that a text seems to be about."""
    words = dict.fromkeys(word for word in _WORD.findall(text[-4000:]) if word.lower() not in _COMMON)
    return list(words)[:_MOST_TOPICS] or ["the question"]


def tokenize(text: str) -> list[str]:
    """Cut a text into pieces of about one token; joined they are the text again."""
    return _TOKEN.findall(text)


def natural_length(source: Random) -> int:
    """Return how many tokens an answer has if nobody says otherwise."""
    return source.randint(_SHORTEST, _LONGEST)


def write(source: Random, *, about: list[str], tokens: int, is_exact: bool) -> list[str]:
    """Return at least ``tokens`` tokens in whole sentences, or exactly as many."""
    pieces: list[str] = []
    for sentence in _sentences(source, about):
        if len(pieces) >= tokens:
            break
        pieces += tokenize(f" {sentence}" if pieces else sentence)
    return pieces[:tokens] if is_exact else pieces


def _sentences(source: Random, about: list[str]) -> Iterator[str]:
    templates = [source.choice(_OPENINGS)]
    while True:
        for template in templates:
            first, second = source.sample([*about, "the details", "the rest"], 2)
            sentence = template.format(a=first, b=second)
            yield sentence[0].upper() + sentence[1:]
        templates = source.sample(_SENTENCES, len(_SENTENCES))
