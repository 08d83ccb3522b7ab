"""Pydantic AI's agent: over chat completions, over Responses or over Messages, as PYDANTIC_AI_API says."""

from __future__ import annotations

import os
from typing import Any

import pydantic_ai.messages
import pydantic_ai.models.anthropic
import pydantic_ai.models.openai
import pydantic_ai.providers.anthropic

# Documented from here.
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

# Documented until here.
from asking import API_KEY, BASE_URL, TOO_HOT, WRONG_KEY, Seen, answer_all, get_weather

APIS: dict[str, Any] = {
    "chat": (OpenAIChatModel, OpenAIProvider),
    "responses": (pydantic_ai.models.openai.OpenAIResponsesModel, OpenAIProvider),
    "messages": (
        pydantic_ai.models.anthropic.AnthropicModel,
        pydantic_ai.providers.anthropic.AnthropicProvider,
    ),
}
Model, Provider = APIS[os.environ.get("PYDANTIC_AI_API", "chat")]


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    if Model is not OpenAIChatModel:
        return _seen(_agent(model).run_sync(prompt))
    # Documented from here.
    provider = OpenAIProvider(base_url=BASE_URL, api_key=API_KEY)
    agent = Agent(OpenAIChatModel(model, provider=provider))
    reply = agent.run_sync(prompt)
    print(reply.output)
    # Documented until here.
    return _seen(reply)


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    reply = _agent(model).run_stream_sync(prompt)
    pieces = list(reply.stream_text(delta=True, debounce_by=None))
    return {**_usage(reply), "text": "".join(pieces), "pieces": len(pieces)}


def tools(model: str, prompt: str) -> Seen:
    """Let the agent call a tool."""
    return _with_calls(_agent(model, tools=[get_weather]).run_sync(prompt))


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the agent call a tool over streams."""
    reply = _agent(model, tools=[get_weather]).run_stream_sync(prompt)
    said = "".join(reply.stream_text(delta=True, debounce_by=None))
    return {**_usage(reply), "text": said, "calls": _calls(reply)}


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    return _seen(_agent(model, api_key=WRONG_KEY).run_sync(prompt))


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen(_agent(model).run_sync(prompt))


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    return _seen(_agent(model).run_sync(prompt, model_settings={"temperature": TOO_HOT}))


def _agent(model: str, *, api_key: str = API_KEY, tools: Any = ()) -> Agent:
    provider = Provider(base_url=BASE_URL, api_key=api_key)
    return Agent(Model(model, provider=provider), tools=tools)


def _with_calls(reply: Any) -> Seen:
    return {**_seen(reply), "calls": _calls(reply)}


def _calls(reply: Any) -> list[Seen]:
    parts = [part for message in reply.all_messages() for part in message.parts]
    return [
        {"name": part.tool_name, "arguments": part.args_as_dict()}
        for part in parts
        if isinstance(part, pydantic_ai.messages.ToolCallPart)
    ]


def _seen(reply: Any) -> Seen:
    return {**_usage(reply), "text": reply.output}


def _usage(reply: Any) -> Seen:
    usage = reply.usage() if callable(reply.usage) else reply.usage
    return {"input": usage.input_tokens, "output": usage.output_tokens}


answer_all(
    text=text,
    stream=stream,
    tools=tools,
    streamed_tools=streamed_tools,
    wrong_key=wrong_key,
    unknown_model=unknown_model,
    bad_request=bad_request,
)
