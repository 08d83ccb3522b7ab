"""What Gemini found on the web: searches and citations.

Google counts the places of a citation in bytes of UTF-8; ours are characters.
"""

from __future__ import annotations

import hashlib

import msgspec

from gateway.events import Cited, Event, Searched


class _Web(msgspec.Struct):
    uri: str = ""
    title: str | None = None


class _Found(msgspec.Struct):
    web: _Web | None = None


class _Segment(msgspec.Struct, rename="camel"):
    start_index: int = 0
    end_index: int = 0
    text: str = ""


class _Support(msgspec.Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(msgspec.Struct, rename="camel"):
    """``groundingMetadata`` as far as it is used."""

    web_search_queries: list[str] | None = None
    grounding_chunks: list[_Found] | None = None
    grounding_supports: list[_Support] | None = None


class Sources:
    """Collects one candidate's text and what it rests on."""

    __slots__ = ("_found", "_queries", "_supports", "_text")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._queries: list[str] = []
        self._found: list[_Found] = []
        self._supports: list[_Support] = []

    @property
    def searches(self) -> int:
        """Return how many searches were done; Google counts each query once and empty ones never."""
        return len(self._queries)

    def say(self, text: str) -> None:
        """Add to the text that citations point into."""
        self._text.append(text)

    def take(self, grounding: Grounding) -> None:
        """Keep the newest of each list: later chunks repeat what earlier ones said."""
        self._queries = [
            query for query in dict.fromkeys(grounding.web_search_queries or ()) if query
        ] or self._queries
        self._found = grounding.grounding_chunks or self._found
        self._supports = grounding.grounding_supports or self._supports

    def events(self, answer_id: str, choice: int) -> list[Event]:
        """Return a citation for each place and its sources, then the searches, which end the text that is cited in."""
        events: list[Event] = []
        text = "".join(self._text) if self._supports else ""
        raw, cited = text.encode("utf-8", "replace"), set[int]()
        for support in self._supports:
            start, end = _characters(support.segment, text, raw)
            for index in support.grounding_chunk_indices or ():
                if 0 <= index < len(self._found) and (web := self._found[index].web):
                    cited.add(index)
                    events.append(Cited(web.uri, web.title or "", start, end, choice))
        for index, found in enumerate(self._found):
            if index not in cited and found.web:
                events.append(Cited(found.web.uri, found.web.title or "", choice=choice))
        for place, query in enumerate(self._queries):
            mark = hashlib.blake2s(f"{answer_id}/{choice}/{place}".encode(), digest_size=12).hexdigest()
            events.append(Searched(f"ws_{mark}", query, choice))
        return events


def _characters(segment: _Segment | None, text: str, raw: bytes) -> tuple[int, int]:
    """Return where a segment stands in the text; -1 where what Google says of it does not fit."""
    if segment is None:
        return -1, -1
    if 0 <= segment.start_index <= segment.end_index <= len(raw):
        quoted = raw[segment.start_index : segment.end_index].decode("utf-8", "ignore")
        if not segment.text or quoted == segment.text:
            start = len(raw[: segment.start_index].decode("utf-8", "ignore"))
            return start, start + len(quoted)
    start = text.find(segment.text) if segment.text else -1
    return (start, start + len(segment.text)) if start >= 0 else (-1, -1)
