"""Recorded answers and answers of our own as upstreams of a client of each format."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.endpoints import ENDPOINTS
from gateway.formats.base import Format
from gateway.passages.base import Passage, StreamTranslator
from gateway.passages.table import passage_for
from gateway.upstreams.base import BadAnswer
from tests.gateway.attempts import attempt, channel, model
from tests.golden.facts import ANSWER, STREAM, Counted, Facts
from tests.golden.recordings import Recording

FORMATS = {
    name: ENDPOINTS[path]
    for name, path in {
        "chat": "/v1/chat/completions",
        "messages": "/v1/messages",
        "responses": "/v1/responses",
    }.items()
}
# Chat clients are passed on as they are to channels that speak both, but for models that know Responses only.
TRAITS = {"openai_responses": frozenset({"responses_only"})}
_QUESTION: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9_000},
    "responses": {"input": "hi"},
}


def _asked_in(format_: Format, *, is_stream: bool) -> Any:
    """Return a plain question in a format."""
    body = {"model": "gpt-4o", "stream": is_stream, **_QUESTION[format_.name]}
    if not is_stream:
        body.pop("stream_options", None)
    return format_.parse(json.dumps(body).encode(), {})


def passage_of(recording: Recording, format_: Format) -> tuple[Passage, Attempt]:
    """Return the way of an answer to a client of a format."""
    one = attempt(
        _asked_in(format_, is_stream=recording.is_stream),
        channel=channel(recording.provider, recording.adapter),
        model=model(traits=TRAITS.get(recording.adapter, frozenset())),
    )
    return passage_for(format_, one.route, one.model), one


def through(recording: Recording, format_: Format, pieces: int = 0) -> tuple[bytes, Counted | None]:
    """Replay an answer as the upstream of a client of a format, a stream in ``pieces``; return what it gets, and the bill."""
    passage, one = passage_of(recording, format_)
    passage.prepare(one)
    if not recording.is_stream:
        answer = passage.answer(recording.body, one)
        return answer.body, _counted(answer.usage)
    translator, splitter = passage.stream(one), passage.splitter()
    body, size = recording.body, pieces or len(recording.body) or 1
    shown = b""
    for place in range(0, len(body), size):
        shown += b"".join(translator.feed(event) for event in splitter.feed(body[place : place + size]))
    shown += b"".join(translator.feed(event) for event in splitter.finish()) + end(translator)
    return shown, _counted(translator.usage)


def _counted(usage: Usage | None) -> Counted | None:
    if usage is None:
        return None
    return Counted(
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


def end(translator: StreamTranslator) -> bytes:
    """Return what ends a stream as the relay does; raises ``BadAnswer`` where the upstream gave no reason."""
    if not translator.finish_reason:
        raise BadAnswer("ended without a finish reason")
    return translator.closing(translator.usage or Usage(1, 0, 0, translator.output_tokens, 0))


def told(recording: Recording) -> Facts:
    """Return what an answer says in its own protocol."""
    if recording.says is not None:
        return recording.says
    read: dict[str, Callable[[Any], Facts]] = STREAM if recording.is_stream else ANSWER
    return read[recording.dialect](recording.response)


def is_whole(recording: Recording) -> bool:
    """Tell whether a recording is an answer that ended: not an error, a count of tokens, nor one still under way."""
    if recording.status != 200:
        return False
    answer = {} if recording.is_stream else recording.response
    if answer.get("error") or answer.get("status") in {"queued", "in_progress"} or "input_tokens" in answer:
        return False
    facts = told(recording)
    return bool(facts.reason) and not facts.has_error
