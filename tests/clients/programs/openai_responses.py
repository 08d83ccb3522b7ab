"""The openai package: the Responses API."""

from __future__ import annotations

import json
from typing import Any

# Documented from here.
from openai import OpenAI

# Documented until here.
from asking import API_KEY, BASE_URL, CITY, TOO_HOT, WRONG_KEY, Seen, answer_all, get_weather

# Documented from here.
client = OpenAI(base_url=BASE_URL, api_key=API_KEY)
# Documented until here.

TOOLS = [{"type": "function", "name": "get_weather", "parameters": CITY, "strict": False}]


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    # Documented from here.
    reply = client.responses.create(model=model, input=prompt)
    print(reply.output_text)
    # Documented until here.
    return _seen([reply])


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    events = list(client.responses.create(model=model, input=prompt, stream=True))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert events[-1].type == "response.completed"
    return {**_seen([events[-1].response]), "text": "".join(pieces), "pieces": len(pieces)}


def tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool, and answer it with the whole conversation sent again."""
    history: list[Any] = [{"role": "user", "content": prompt}]
    first = client.responses.create(model=model, input=history, tools=TOOLS)
    history += [*first.output, *_told(first)]
    last = client.responses.create(model=model, input=history, tools=TOOLS)
    return {**_seen([first, last]), "calls": _calls(first)}


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool in a stream, and answer it on top of the stored response."""
    first = _streamed(model=model, input=prompt, tools=TOOLS)
    last = _streamed(model=model, input=_told(first), tools=TOOLS, previous_response_id=first.id)
    return {**_seen([first, last]), "calls": _calls(first)}


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    other = OpenAI(base_url=BASE_URL, api_key=WRONG_KEY)
    return _seen([other.responses.create(model=model, input=prompt)])


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen([client.responses.create(model=model, input=prompt)])


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    return _seen([client.responses.create(model=model, input=prompt, temperature=TOO_HOT)])


def _streamed(**fields: Any) -> Any:
    with client.responses.stream(**fields) as events:
        for _ in events:
            pass
        return events.get_final_response()


def _calls(reply: Any) -> list[Seen]:
    return [
        {"name": item.name, "arguments": json.loads(item.arguments)}
        for item in reply.output
        if item.type == "function_call"
    ]


def _told(reply: Any) -> list[Any]:
    return [
        {
            "type": "function_call_output",
            "call_id": item.call_id,
            "output": get_weather(**json.loads(item.arguments)),
        }
        for item in reply.output
        if item.type == "function_call"
    ]


def _seen(replies: list[Any]) -> Seen:
    return {
        "text": replies[-1].output_text,
        "input": sum(reply.usage.input_tokens for reply in replies),
        "output": sum(reply.usage.output_tokens for reply in replies),
    }


answer_all(
    text=text,
    stream=stream,
    tools=tools,
    streamed_tools=streamed_tools,
    wrong_key=wrong_key,
    unknown_model=unknown_model,
    bad_request=bad_request,
)
