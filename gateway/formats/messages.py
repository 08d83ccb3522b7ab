"""Anthropic's Messages as a client's format."""

from __future__ import annotations

from collections.abc import Mapping

from catalog.pricing import Usage
from gateway.asked import Attempt, Prompt
from gateway.errors import GatewayError
from gateway.events import Result
from gateway.form import Form
from gateway.formats import messages_errors
from gateway.formats.messages_body import MessagesRequest
from gateway.formats.messages_form import form_of, user_of
from gateway.formats.messages_read import Read, parse_messages
from gateway.formats.messages_writer import MessagesWriter, render
from gateway.wishes import take

# Where the form's names differ from this format's own.
_PARAMS = {
    "max_output": "max_tokens",
    "stop": "stop_sequences",
    "reasoning": "thinking",
    "response_format": "output_config",
    "parallel_tool_calls": "tool_choice",
    "user": "metadata",
    "web_search": "tools",
    "cache": "cache_control",
}


class MessagesAsked:
    """A message that was asked; see ``Asked``."""

    __slots__ = ("_form", "read", "wishes")

    def __init__(self, read: Read) -> None:
        self.read = read
        self.wishes = take(read.request)
        self._form: Form | None = None

    @property
    def body(self) -> MessagesRequest:
        """Return the body as it was parsed."""
        return self.read.request

    @property
    def model(self) -> str:
        """See ``Asked``."""
        return self.body.model

    @property
    def is_stream(self) -> bool:
        """See ``Asked``."""
        return bool(self.body.stream)

    @property
    def choices(self) -> int:
        """See ``Asked``."""
        return 1

    @property
    def explicit_max(self) -> int | None:
        """See ``Asked``."""
        return self.body.max_tokens

    @property
    def prompt(self) -> Prompt:
        """See ``Asked``."""
        return self.read.prompt

    @property
    def most_units(self) -> Usage:
        """See ``Asked``."""
        return self.read.units

    @property
    def session(self) -> str:
        """See ``Session``."""
        return user_of(self.body.metadata)

    def form(self) -> Form:
        """See ``Asked``."""
        if self._form is None:
            self._form = form_of(self.body)
        return self._form


class Messages:
    """The format of ``/v1/messages``."""

    name = "messages"
    content_type = "application/json"
    kind = "chat"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> MessagesAsked:
        """See ``Format.parse``."""
        return MessagesAsked(parse_messages(body))

    def render(self, result: Result, usage: Usage, attempt: Attempt) -> bytes:
        """See ``TextFormat.render``."""
        return render(result, usage, attempt)

    def writer(self, attempt: Attempt) -> MessagesWriter:
        """See ``TextFormat.writer``."""
        return MessagesWriter(attempt)

    def param(self, field: str) -> str:
        """See ``Format.param``."""
        return _PARAMS.get(field, field)

    def refusal(self, error: GatewayError, request_id: str) -> tuple[int, bytes]:
        """See ``Format.refusal``."""
        return messages_errors.refusal(error, request_id)

    def headers(self, request_id: str) -> list[tuple[str, str]]:
        """See ``Format.headers``; Anthropic's SDKs know a request by another header than OpenAI's."""
        return [("request-id", request_id), ("x-request-id", request_id)]
