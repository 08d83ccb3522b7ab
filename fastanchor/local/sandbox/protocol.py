"""The server's side of a connection, as far as a fake must be able to cut it."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """Shows the application its connection, so that it can drop it before the headers."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["fastanchor.transport"] = self.transport  # type: ignore[typeddict-unknown-key]
