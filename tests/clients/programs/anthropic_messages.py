"""The anthropic package."""

from __future__ import annotations

from typing import Any

# Documented from here.
from anthropic import Anthropic

# Documented until here.
from asking import API_KEY, BASE_URL, CITY, WRONG_KEY, Seen, answer_all, get_weather

# Documented from here.
client = Anthropic(base_url=BASE_URL, api_key=API_KEY)
# Documented until here.

TOOLS = [{"name": "get_weather", "input_schema": CITY}]
MOST = 1000


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    # Documented from here.
    reply = client.messages.create(
        model=model,
        max_tokens=1000,
        messages=[{"role": "user", "content": prompt}],
    )
    print(reply.content[-1].text)
    # Documented until here.
    return _seen([reply])


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    messages: list[Any] = [{"role": "user", "content": prompt}]
    with client.messages.stream(model=model, max_tokens=MOST, messages=messages) as events:
        pieces = list(events.text_stream)
        reply = events.get_final_message()
    return {**_seen([reply]), "text": "".join(pieces), "pieces": len(pieces)}


def tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool, and answer it."""
    return _with_tools(model, prompt, _whole)


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool in a stream, and answer it."""
    return _with_tools(model, prompt, _streamed)


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    return _seen([_ask(Anthropic(base_url=BASE_URL, api_key=WRONG_KEY), model, prompt)])


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen([_ask(client, model, prompt)])


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    return _seen([_ask(client, model, prompt, most=-1)])


def _ask(asked: Anthropic, model: str, prompt: str, most: int = MOST) -> Any:
    return asked.messages.create(model=model, max_tokens=most, messages=[{"role": "user", "content": prompt}])


def _whole(**fields: Any) -> Any:
    return client.messages.create(**fields)


def _streamed(**fields: Any) -> Any:
    with client.messages.stream(**fields) as events:
        return events.get_final_message()


def _with_tools(model: str, prompt: str, ask: Any) -> Seen:
    messages: list[Any] = [{"role": "user", "content": prompt}]
    first = ask(model=model, max_tokens=MOST, messages=messages, tools=TOOLS)
    calls = [block for block in first.content if block.type == "tool_use"]
    told = [
        {"type": "tool_result", "tool_use_id": call.id, "content": get_weather(**call.input)}
        for call in calls
    ]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": told}]
    last = ask(model=model, max_tokens=MOST, messages=messages, tools=TOOLS)
    asked = [{"name": call.name, "arguments": call.input} for call in calls]
    return {**_seen([first, last]), "calls": asked, "stop": first.stop_reason}


def _seen(replies: list[Any]) -> Seen:
    return {
        "text": "".join(block.text for block in replies[-1].content if block.type == "text"),
        "input": sum(_input(reply.usage) for reply in replies),
        "output": sum(reply.usage.output_tokens for reply in replies),
    }


def _input(usage: Any) -> int:
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return int(usage.input_tokens + cached)


answer_all(
    text=text,
    stream=stream,
    tools=tools,
    streamed_tools=streamed_tools,
    wrong_key=wrong_key,
    unknown_model=unknown_model,
    bad_request=bad_request,
)
