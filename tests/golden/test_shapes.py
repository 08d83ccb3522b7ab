"""Every answer and event that a client gets is one that its SDK's own types and OpenAI's document know."""

from __future__ import annotations

import functools
import json
from typing import Any

import anthropic.types as messages
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from tests.golden.facts import events
from tests.golden.openai_document import event_faults, faults
from tests.golden.recordings import Recording, params, recordings
from tests.golden.replay import FORMATS, is_whole, through

ALL = recordings()
_ANSWERS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatCompletion),
    "messages": TypeAdapter(messages.Message),
    "responses": TypeAdapter(Response),
}
_EVENTS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "messages": TypeAdapter(messages.RawMessageStreamEvent),
    "responses": TypeAdapter(ResponseStreamEvent),
}


# The document has lost the null of this list, which the SDKs and every real answer have.
_MISTAKES_OF_THE_DOCUMENT = frozenset({"choices.*.logprobs.refusal breaks type"})


def _document_faults(name: str, told: Any, *, is_event: bool) -> set[str]:
    if name == "chat":
        return faults(
            "CreateChatCompletionStreamResponse" if is_event else "CreateChatCompletionResponse", told
        )
    if name == "responses":
        return event_faults(told) if is_event else faults("Response", told)
    return set()


@functools.cache
def _openais_own_faults() -> frozenset[str]:
    """Return where OpenAI's recorded traffic breaks OpenAI's document."""
    own: set[str] = set()
    for recording in ALL:
        name = {"openai-chat": "chat", "openai-responses": "responses"}.get(recording.name.split("/")[0])
        if name is None or recording.status != 200:
            continue
        told = list(events(recording.response)) if recording.is_stream else [recording.response]
        for each in told:
            own |= _document_faults(name, each, is_event=recording.is_stream)
    return frozenset(own)


def _fits(types: TypeAdapter[Any], told: Any) -> bool:
    """Tell whether an object is one by an SDK's types: from JSON, where a number may not be a text."""
    try:
        types.validate_json(json.dumps(told), strict=True)
    except ValidationError:
        return False
    return True


def _strange(recording: Recording, name: str) -> set[str]:
    """Return what of a recording its own provider's SDK does not know so: it is passed on as it is."""
    if recording.dialect != name:
        return set()
    types = _EVENTS[name] if recording.is_stream else _ANSWERS[name]
    told = list(events(recording.response)) if recording.is_stream else [recording.response]
    return {each.get("type", "") for each in told if not _fits(types, each)}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recording", params([each for each in ALL if is_whole(each)]))
def test_what_a_client_gets_has_the_right_shape(recording: Recording, name: str) -> None:
    got = through(recording, FORMATS[name])[0].decode()

    types = _EVENTS[name] if recording.is_stream else _ANSWERS[name]
    # Anthropic's SDK drops pings before it looks at their type.
    strange = {"ping"} | (_strange(recording, name) if name != "chat" else set())
    for each in events(got) if recording.is_stream else [json.loads(got)]:
        assert _fits(types, each) or each.get("type", "") in strange
        found = _document_faults(name, each, is_event=recording.is_stream)
        assert found <= _openais_own_faults() | _MISTAKES_OF_THE_DOCUMENT
