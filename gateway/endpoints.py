"""The hot endpoints of /v1 and the format that each speaks."""

from __future__ import annotations

from gateway.formats.base import Format
from gateway.formats.chat import Chat

ENDPOINTS: dict[str, Format] = {"/v1/chat/completions": Chat()}
