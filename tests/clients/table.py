"""Every client that must work by changing the base URL, and the programs that drive it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# One model of each provider's format, and for the thoughts that OpenAI seals one that always has them.
MODELS = (
    "gpt-4o",
    "gpt-5",
    "claude-sonnet-4-20250514",
    "gemini-3.0-pro",
    "deepseek-v4-flash",
    "qwen-3.7-max",
)
# Under which name the providers of those that think want their thoughts back with a tool's result.
SEALS = {
    "gpt-5": "encrypted_content",
    "claude-sonnet-4-20250514": "signature",
    "gemini-3.0-pro": "thoughtSignature",
    "deepseek-v4-flash": "reasoning_content",
}
FEATURED_MODEL = "claude-sonnet-4-20250514"

Wire = Literal["chat", "responses", "messages"]


@dataclass(frozen=True, slots=True)
class Errors:
    """What a client throws for a wrong key, an unknown model and a bad value."""

    wrong_key: str = "AuthenticationError"
    unknown_model: str = "NotFoundError"
    bad_request: str = "BadRequestError"


@dataclass(frozen=True, slots=True)
class Client:
    """One client in one version, driven by one program through one of the three formats."""

    name: str
    environment: str
    program: str
    wire: Wire
    errors: Errors = Errors()
    # What it appends to the base URL by itself decides whether that ends in /v1.
    base_path: str = "/v1"
    settings: dict[str, str] = field(default_factory=dict)
    # Those of the wide matrix alone are not installed by a plain test run.
    is_everyday: bool = False


_AI_SDK = Errors("APICallError", "APICallError", "APICallError")
_LANGCHAIN = Errors("OpenAIAuthenticationError", "OpenAIModelNotFoundError", "OpenAIInvalidRequestError")
_PYDANTIC_AI = Errors("ModelAuthenticationError", "ModelNotFoundError", "ModelRequestRejectedError")

CLIENTS = (
    Client("openai-python-3", "sdks", "openai_chat.py", "chat", is_everyday=True),
    Client("openai-python-3-responses", "sdks", "openai_responses.py", "responses", is_everyday=True),
    Client("openai-python-2", "openai-2", "openai_chat.py", "chat", is_everyday=True),
    Client("openai-python-2-responses", "openai-2", "openai_responses.py", "responses", is_everyday=True),
    Client("openai-python-1", "openai-1", "openai_chat.py", "chat", is_everyday=True),
    Client("openai-python-1-responses", "openai-1", "openai_responses.py", "responses", is_everyday=True),
    Client("openai-node-7", "openai-7", "openai_chat.mjs", "chat", is_everyday=True),
    Client("openai-node-7-responses", "openai-7", "openai_responses.mjs", "responses", is_everyday=True),
    Client("openai-node-6", "openai-6", "openai_chat.mjs", "chat", is_everyday=True),
    Client("openai-node-6-responses", "openai-6", "openai_responses.mjs", "responses", is_everyday=True),
    Client("anthropic-python", "sdks", "anthropic_messages.py", "messages", base_path="", is_everyday=True),
    Client(
        "anthropic-node", "anthropic", "anthropic_messages.mjs", "messages", base_path="", is_everyday=True
    ),
    Client("ai-sdk-openai", "ai-sdk", "ai_sdk_openai.mjs", "responses", _AI_SDK, is_everyday=True),
    Client("ai-sdk-openai-chat", "ai-sdk", "ai_sdk_openai_chat.mjs", "chat", _AI_SDK, is_everyday=True),
    Client("ai-sdk-compatible", "ai-sdk", "ai_sdk_compatible.mjs", "chat", _AI_SDK, is_everyday=True),
    Client("ai-sdk-anthropic", "ai-sdk", "ai_sdk_anthropic.mjs", "messages", _AI_SDK, is_everyday=True),
    Client("ai-sdk-6-openai", "ai-sdk-6", "ai_sdk_openai.mjs", "responses", _AI_SDK),
    Client("ai-sdk-6-compatible", "ai-sdk-6", "ai_sdk_compatible.mjs", "chat", _AI_SDK),
    Client("ai-sdk-6-anthropic", "ai-sdk-6", "ai_sdk_anthropic.mjs", "messages", _AI_SDK),
    Client("langchain", "frameworks", "langchain_openai_chat.py", "chat", _LANGCHAIN),
    Client(
        "langchain-responses",
        "frameworks",
        "langchain_openai_chat.py",
        "responses",
        _LANGCHAIN,
        settings={"LANGCHAIN_RESPONSES": "1"},
    ),
    Client("llama-index", "llama-index", "llama_index_chat.py", "chat"),
    Client("pydantic-ai", "frameworks", "pydantic_ai_agent.py", "chat", _PYDANTIC_AI),
    Client(
        "pydantic-ai-responses",
        "frameworks",
        "pydantic_ai_agent.py",
        "responses",
        _PYDANTIC_AI,
        settings={"PYDANTIC_AI_API": "responses"},
    ),
    Client(
        "pydantic-ai-messages",
        "frameworks",
        "pydantic_ai_agent.py",
        "messages",
        _PYDANTIC_AI,
        base_path="",
        settings={"PYDANTIC_AI_API": "messages"},
    ),
    Client("openai-agents", "frameworks", "openai_agents.py", "responses"),
    Client(
        "openai-agents-chat",
        "frameworks",
        "openai_agents.py",
        "chat",
        settings={"AGENTS_API": "chat_completions"},
    ),
)
