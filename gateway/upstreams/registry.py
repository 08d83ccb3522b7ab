"""Which adapter speaks which protocol; a channel names its protocol."""

from __future__ import annotations

from gateway.upstreams.base import Adapter
from gateway.upstreams.openai import OpenAiAdapter

ADAPTERS: dict[str, Adapter] = {"openai": OpenAiAdapter()}
