"""The hot endpoints of /v1 and the format that each speaks."""

from __future__ import annotations

from gateway.formats.base import Format
from gateway.formats.chat import Chat
from gateway.formats.completions import Completions
from gateway.formats.embeddings import Embeddings
from gateway.formats.images import Images
from gateway.formats.messages import Messages
from gateway.formats.moderations import Moderations
from gateway.formats.responses import Responses
from gateway.formats.speech import Speech
from gateway.formats.transcriptions import Transcriptions

ENDPOINTS: dict[str, Format] = {
    "/v1/chat/completions": Chat(),
    "/v1/completions": Completions(),
    "/v1/messages": Messages(),
    "/v1/responses": Responses(),
    "/v1/embeddings": Embeddings(),
    "/v1/moderations": Moderations(),
    "/v1/images/generations": Images(),
    "/v1/audio/speech": Speech(),
    "/v1/audio/transcriptions": Transcriptions(),
}
