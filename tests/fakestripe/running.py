"""The fake Stripe on a real socket, in a thread of the tests, where the referee sees everything."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import httpx2
import stripe
import uvicorn

from fastanchor.local.fakestripe.app import FakeStripe
from fastanchor.local.fakestripe.delivery import Address, Post
from fastanchor.local.fakestripe.world import World
from fastanchor.local.sandbox.protocol import Protocol
from tests.fakestripe.referee import Referee

SECRET = "whsec_of_the_tests"
KEY = "sk_test_of_the_tests"


class RunningStripe:
    """One fake and what tests order of it; ``webhook_url`` gets every event."""

    def __init__(self, *, webhook_url: str = "", data: Path | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        world = World(data)
        addresses = [Address("we_tests", webhook_url, SECRET)] if webhook_url else []
        self.referee = Referee(FakeStripe(world, Post(world, addresses)))
        config = uvicorn.Config(
            self.referee,
            http=Protocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()
        self.browser = httpx2.Client(trust_env=False, timeout=20)

    def client(self, *, retries: int = 0) -> stripe.StripeClient:
        """Return the SDK as the product uses it."""
        addresses: Any = {"api": self.base_url}
        return stripe.StripeClient(KEY, base_addresses=addresses, max_network_retries=retries)

    def order(self, path: str, told: Any = None, *, method: str = "POST") -> Any:
        """Give the fake an order, such as ``order("clock", {"advance_s": 60})``."""
        response = self.browser.request(method, f"{self.base_url}/_control/{path}", json=told or {})
        assert response.status_code == 200, response.text
        return response.json()

    def deliveries(self) -> list[Any]:
        """Return what was sent to whom, once nothing waits any more."""
        self.order("settle")
        return list(self.order("deliveries", method="GET"))

    def reset(self) -> None:
        """Forget everything but the verdicts of the referee."""
        self.order("reset")

    def stop(self) -> None:
        """End it."""
        self.browser.close()
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()
