"""The OpenAI Agents SDK: over Responses, or over what AGENTS_API names."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import agents

# Documented from here.
from agents import Agent, Runner, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI

# Documented until here.
from asking import API_KEY, BASE_URL, TOO_HOT, WRONG_KEY, Seen, answer_all, get_weather

# Documented from here.
set_default_openai_client(AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY))
set_tracing_disabled(True)  # traces would go to OpenAI
# Documented until here.

agents.set_default_openai_api(os.environ.get("AGENTS_API", "responses"))
# Runner.run_sync keeps to one event loop, and so must whoever shares its client.
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
weather_tool = agents.function_tool(get_weather)


def text(model: str, prompt: str) -> Seen:
    """Ask for a whole answer."""
    # Documented from here.
    agent = Agent(name="Assistant", model=model)
    reply = Runner.run_sync(agent, prompt)
    print(reply.final_output)
    # Documented until here.
    return _seen(reply)


def stream(model: str, prompt: str) -> Seen:
    """Ask for a stream."""
    reply, pieces = loop.run_until_complete(_streamed(Agent(name="Assistant", model=model), prompt))
    return {**_seen(reply), "text": "".join(pieces), "pieces": len(pieces)}


def tools(model: str, prompt: str) -> Seen:
    """Let the agent call a tool."""
    return _with_calls(Runner.run_sync(_with_weather(model), prompt))


def streamed_tools(model: str, prompt: str) -> Seen:
    """Let the agent call a tool over streams."""
    return _with_calls(loop.run_until_complete(_streamed(_with_weather(model), prompt))[0])


def wrong_key(model: str, prompt: str) -> Seen:
    """Call with a key that nobody has."""
    provider = agents.OpenAIProvider(base_url=BASE_URL, api_key=WRONG_KEY)
    config = agents.RunConfig(model_provider=provider)
    return _seen(Runner.run_sync(Agent(name="Assistant", model=model), prompt, run_config=config))


def unknown_model(model: str, prompt: str) -> Seen:
    """Name a model that does not exist."""
    return _seen(Runner.run_sync(Agent(name="Assistant", model=model), prompt))


def bad_request(model: str, prompt: str) -> Seen:
    """Send a value that is out of bounds."""
    hot = agents.ModelSettings(temperature=TOO_HOT)
    return _seen(Runner.run_sync(Agent(name="Assistant", model=model, model_settings=hot), prompt))


def _with_weather(model: str) -> Agent:
    return Agent(name="Assistant", model=model, tools=[weather_tool])


async def _streamed(agent: Agent, prompt: str) -> tuple[Any, list[str]]:
    settings = agents.RunConfig(model_settings=agents.ModelSettings(include_usage=True))
    run = Runner.run_streamed(agent, prompt, run_config=settings)
    pieces = [
        event.data.delta
        async for event in run.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    return run, pieces


def _with_calls(reply: Any) -> Seen:
    items = [item.raw_item for item in reply.new_items if item.type == "tool_call_item"]
    return {**_seen(reply), "calls": [{"name": item.name, "arguments": _read(item)} for item in items]}


def _read(item: Any) -> Any:
    return json.loads(item.arguments)


def _seen(reply: Any) -> Seen:
    usage = reply.context_wrapper.usage
    return {"text": reply.final_output, "input": usage.input_tokens, "output": usage.output_tokens}


answer_all(
    text=text,
    stream=stream,
    tools=tools,
    streamed_tools=streamed_tools,
    wrong_key=wrong_key,
    unknown_model=unknown_model,
    bad_request=bad_request,
)
