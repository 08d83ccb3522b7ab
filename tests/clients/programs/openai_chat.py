"""The openai package: chat completions."""

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

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    # Documented from here.
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
    )
    print(reply.choices[0].message.content)
    # Documented until here.
    return _seen([reply])


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    usage = chunks[-1].usage
    return {
        "text": "".join(pieces),
        "pieces": len(pieces),
        "input": usage.prompt_tokens,
        "output": usage.completion_tokens,
    }


def tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool, and answer it."""
    return _with_tools(model, prompt, _whole)


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool in a stream, and answer it."""
    return _with_tools(model, prompt, _streamed)


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    return _seen([_ask(OpenAI(base_url=BASE_URL, api_key=WRONG_KEY), model, prompt)])


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen([_ask(client, model, prompt)])


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    return _seen([_ask(client, model, prompt, temperature=TOO_HOT)])


def _ask(asked: OpenAI, model: str, prompt: str, **fields: Any) -> Any:
    return asked.chat.completions.create(
        model=model, messages=[{"role": "user", "content": prompt}], **fields
    )


def _whole(**fields: Any) -> Any:
    return client.chat.completions.create(**fields)


def _streamed(**fields: Any) -> Any:
    with client.chat.completions.stream(**fields, stream_options={"include_usage": True}) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def _with_tools(model: str, prompt: str, ask: Any) -> Seen:
    messages: list[Any] = [{"role": "user", "content": prompt}]
    first = ask(model=model, messages=messages, tools=TOOLS)
    asked = first.choices[0].message
    calls = [
        {"name": call.function.name, "arguments": json.loads(call.function.arguments)}
        for call in asked.tool_calls
    ]
    messages.append(asked)
    for call, parts in zip(asked.tool_calls, calls, strict=True):
        told = get_weather(**parts["arguments"])
        messages.append({"role": "tool", "tool_call_id": call.id, "content": told})
    last = ask(model=model, messages=messages, tools=TOOLS)
    return {**_seen([first, last]), "calls": calls}


def _seen(replies: list[Any]) -> Seen:
    return {
        "text": replies[-1].choices[0].message.content,
        "input": sum(reply.usage.prompt_tokens for reply in replies),
        "output": sum(reply.usage.completion_tokens for reply in replies),
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
