"""A program that takes webhooks, and says no as often as it is told to."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import stripe

from tests.fakestripe.running import SECRET


class Receiver:
    """Takes what is posted to ``url`` and verifies it as the product does."""

    def __init__(self) -> None:
        self.events: list[stripe.Event] = []
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        # The statuses of the next answers; afterwards 200.
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(body, self.headers["stripe-signature"])
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/stripe/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, body: bytes, signature: str) -> None:
        """Verify a delivery and keep it."""
        self.events.append(stripe.Webhook.construct_event(body, signature, SECRET))
        self.bodies.append(body)
        self.signatures.append(signature)

    def kinds(self) -> list[str]:
        """Return the types of all events, as they came."""
        return [event.type for event in self.events]

    def clear(self) -> None:
        """Forget everything."""
        for each in (self.events, self.bodies, self.signatures, self.answers):
            each.clear()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
