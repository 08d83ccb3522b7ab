"""Chat completions passed on to Azure OpenAI, and back without what its content filters add."""

from __future__ import annotations

from gateway.asked import Attempt
from gateway.passages.base import Answer
from gateway.passages.native_chat import NativeChat
from gateway.upstreams.azure import AzureSplitter, without_filters
from gateway.upstreams.base import Splitter


class AzureNativeChat(NativeChat):
    """The passage from chat clients to Azure OpenAI."""

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        return super().answer(without_filters(body), attempt)

    def splitter(self) -> Splitter:
        """See ``Passage.splitter``."""
        return AzureSplitter()
