"""LangChain's ChatOpenAI, through chat completions or, with LANGCHAIN_RESPONSES=1, through the Responses API."""

from __future__ import annotations

import os
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool

# Documented from here.
from langchain_openai import ChatOpenAI

# Documented until here.
from asking import API_KEY, BASE_URL, TOO_HOT, WRONG_KEY, Seen, answer_all, get_weather

weather_tool = tool(get_weather)
RESPONSES = {"use_responses_api": True} if os.environ.get("LANGCHAIN_RESPONSES") else {}


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    if RESPONSES:
        return _seen([_chat(model).invoke(prompt)])
    # Documented from here.
    chat = ChatOpenAI(
        base_url=BASE_URL,
        api_key=API_KEY,
        model=model,
    )
    reply = chat.invoke(prompt)
    print(reply.text)
    # Documented until here.
    return _seen([reply])


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    chunks = list(_chat(model).stream(prompt))
    pieces = [chunk.text for chunk in chunks if chunk.text]
    return {**_seen([_sum(chunks)]), "pieces": len(pieces)}


def tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool, and answer it."""
    return _with_tools(model, prompt, lambda chat, messages: chat.invoke(messages))


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool in a stream, and answer it."""
    return _with_tools(model, prompt, lambda chat, messages: _sum(list(chat.stream(messages))))


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    return _seen([_chat(model, api_key=WRONG_KEY).invoke(prompt)])


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen([_chat(model).invoke(prompt)])


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    return _seen([_chat(model, temperature=TOO_HOT).invoke(prompt)])


def _chat(model: str, **fields: Any) -> ChatOpenAI:
    known = {"base_url": BASE_URL, "api_key": API_KEY, "model": model, "stream_usage": True, "max_retries": 0}
    return ChatOpenAI(**{**known, **RESPONSES, **fields})


def _sum(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def _with_tools(model: str, prompt: str, ask: Any) -> Seen:
    chat = _chat(model).bind_tools([weather_tool])
    messages: list[Any] = [HumanMessage(prompt)]
    first = ask(chat, messages)
    messages.append(first)
    messages += [
        ToolMessage(weather_tool.invoke(call["args"]), tool_call_id=call["id"]) for call in first.tool_calls
    ]
    last = ask(chat, messages)
    calls = [{"name": call["name"], "arguments": call["args"]} for call in first.tool_calls]
    return {**_seen([first, last]), "calls": calls}


def _seen(replies: list[Any]) -> Seen:
    return {
        "text": replies[-1].text,
        "input": sum(reply.usage_metadata["input_tokens"] for reply in replies),
        "output": sum(reply.usage_metadata["output_tokens"] for reply in replies),
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
