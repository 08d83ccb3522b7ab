"""LlamaIndex's OpenAILike, which takes any model name."""

from __future__ import annotations

from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

# Documented from here.
from llama_index.llms.openai_like import OpenAILike

# Documented until here.
from asking import API_KEY, BASE_URL, TOO_HOT, WRONG_KEY, Seen, answer_all, get_weather

weather_tool = FunctionTool.from_defaults(get_weather)
USAGE = {"additional_kwargs": {"stream_options": {"include_usage": True}}}


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    # Documented from here.
    llm = OpenAILike(
        api_base=BASE_URL,
        api_key=API_KEY,
        model=model,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    reply = llm.complete(prompt)
    print(reply.text)
    # Documented until here.
    return _seen(reply.text, [reply.raw])


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    parts = list(_llm(model, **USAGE).stream_chat([ChatMessage(prompt, role="user")]))
    pieces = [part.delta for part in parts if part.delta]
    return {**_seen("".join(pieces), [parts[-1].raw]), "pieces": len(pieces)}


def tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool, and answer it."""
    return _with_tools(_llm(model), prompt, lambda llm, **asked: llm.chat_with_tools([weather_tool], **asked))


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the model call a tool in a stream, and answer it."""

    def ask(llm: OpenAILike, **asked: Any) -> Any:
        return list(llm.stream_chat_with_tools([weather_tool], **asked))[-1]

    return _with_tools(_llm(model, **USAGE), prompt, ask)


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    return _seen("", [_llm(model, api_key=WRONG_KEY).complete(prompt).raw])


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen("", [_llm(model).complete(prompt).raw])


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    return _seen("", [_llm(model).complete(prompt, temperature=TOO_HOT).raw])


def _llm(model: str, **fields: Any) -> OpenAILike:
    known = {
        "api_base": BASE_URL,
        "api_key": API_KEY,
        "model": model,
        "is_chat_model": True,
        "is_function_calling_model": True,
        "max_retries": 0,
    }
    return OpenAILike(**{**known, **fields})


def _with_tools(llm: OpenAILike, prompt: str, ask: Any) -> Seen:
    history = [ChatMessage(prompt, role="user")]
    first = ask(llm, chat_history=history)
    calls = llm.get_tool_calls_from_response(first, error_on_no_tool_call=True)
    history.append(first.message)
    for call in calls:
        told = weather_tool(**call.tool_kwargs).content
        history.append(ChatMessage(told, role="tool", additional_kwargs={"tool_call_id": call.tool_id}))
    last = ask(llm, chat_history=history)
    asked = [{"name": call.tool_name, "arguments": call.tool_kwargs} for call in calls]
    return {**_seen(last.message.content, [first.raw, last.raw]), "calls": asked}


def _seen(said: str | None, replies: list[Any]) -> Seen:
    return {
        "text": said,
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
