"""Which passage leads from a client's format to a channel: the only list of formats, adapters and what is native."""

from __future__ import annotations

from catalog.snapshot import Model, Route
from gateway.formats.base import Format, TextFormat
from gateway.passages.azure_chat import AzureNativeChat
from gateway.passages.base import Passage
from gateway.passages.native_chat import NativeChat
from gateway.passages.native_messages import NativeMessages
from gateway.passages.native_responses import NativeResponses
from gateway.passages.openai_translation import OpenAiTranslation
from gateway.passages.pass_through import FreePassThrough, PassThrough, PicturePassThrough
from gateway.passages.speech import SpeechPassage
from gateway.passages.transcriptions import TranscriptionPassage
from gateway.passages.translation import Translation
from gateway.upstreams.anthropic import Anthropic
from gateway.upstreams.azure import AzureChat
from gateway.upstreams.base import Adapter, CannotExpress
from gateway.upstreams.bedrock import Bedrock
from gateway.upstreams.gemini import Gemini
from gateway.upstreams.openai_chat import OpenAIChat
from gateway.upstreams.openai_responses import OpenAIResponses
from gateway.upstreams.vertex import Vertex

# Azure serves both protocols at one address, but some models by Responses alone.
_AZURE_RESPONSES = "azure_responses"

_CHAT, _RESPONSES = OpenAIChat(), OpenAIResponses()
# By the name of an adapter that a channel may have.
ADAPTERS: dict[str, Adapter] = {
    "openai": _CHAT,
    "deepseek": _CHAT,
    "qwen": _CHAT,
    "openai_responses": _RESPONSES,
    "azure": AzureChat(),
    _AZURE_RESPONSES: _RESPONSES,
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "vertex": Vertex(),
    "bedrock": Bedrock(),
}

_NATIVE_CHAT, _NATIVE_RESPONSES = NativeChat(), NativeResponses()
# By the adapter's name and the client format's: both speak the same, so what is known is passed on as it is.
NATIVE: dict[tuple[str, str], Passage] = {
    ("openai", "chat"): _NATIVE_CHAT,
    ("deepseek", "chat"): _NATIVE_CHAT,
    ("qwen", "chat"): _NATIVE_CHAT,
    ("openai_responses", "chat"): _NATIVE_CHAT,
    ("openai_responses", "responses"): _NATIVE_RESPONSES,
    ("azure", "chat"): AzureNativeChat(),
    ("azure", "responses"): _NATIVE_RESPONSES,
    (_AZURE_RESPONSES, "responses"): _NATIVE_RESPONSES,
    ("anthropic", "messages"): NativeMessages(),
}

# Paths that only OpenAI's shape serves, for each adapter that knows it.
_OPENAI_SHAPED = ("openai", "openai_responses", "azure", "qwen")
_PASS_THROUGH: dict[str, Passage] = {
    "embeddings": PassThrough("/embeddings", "data"),
    "moderations": FreePassThrough("/moderations", "results"),
    "images": PicturePassThrough("/images/generations", "data"),
    "speech": SpeechPassage(),
    "transcriptions": TranscriptionPassage(),
}
NATIVE |= {(each, name): passage for each in _OPENAI_SHAPED for name, passage in _PASS_THROUGH.items()}

_MADE: dict[tuple[str, str], Passage] = {}


def passage_for(format_: Format, route: Route, model: Model, *, has_search: bool = False) -> Passage:
    """Return the way from a format to a route's channel; raises ``CannotExpress`` where there is none.

    ``has_search`` tells that a search is ordered: models that OpenAI serves in both protocols search in Responses alone.
    """
    adapter = route.channel.adapter
    is_only = "responses_only" in model.traits
    if adapter == "azure" and (is_only or has_search):
        adapter = _AZURE_RESPONSES
    key = (adapter, format_.name)
    # A server of Responses speaks chat completions, too, but not of every model.
    is_other = is_only or (has_search and adapter == "openai_responses")
    is_native = key in NATIVE and not (format_.name == "chat" and is_other)
    passage = NATIVE[key] if is_native else _MADE.get(key)
    if passage is None:
        passage = _MADE[key] = _translation(format_, adapter)
    return passage


def leads_to(format_: Format, adapter: str) -> bool:
    """Tell whether any way leads from a format to channels with an adapter."""
    return (adapter, format_.name) in NATIVE or (adapter in ADAPTERS and isinstance(format_, TextFormat))


def _translation(format_: Format, adapter: str) -> Passage:
    if adapter not in ADAPTERS or not isinstance(format_, TextFormat):
        raise CannotExpress("model", "No channel to this model serves this path.")
    if adapter == "openai_responses":
        return OpenAiTranslation(format_, responses=_RESPONSES, chat=_CHAT)
    return Translation(format_, ADAPTERS[adapter])
