"""The call that ``up`` makes, against a server that cannot reserve credit yet."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from fastanchor.local.first_call import FirstCallFailed, make_first_call

ANSWERS: list[int] = []


class Gateway(BaseHTTPRequestHandler):
    """Gives the next of ``ANSWERS``."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(ANSWERS.pop(0))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def base_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_it_waits_until_credit_can_be_reserved_and_repeats_nothing_else(base_url: str) -> None:
    ANSWERS[:] = [503, 503, 402, 503]

    with pytest.raises(FirstCallFailed, match="answered 402"):
        make_first_call({"base_url": base_url, "api_key": "k", "model": "m"})

    assert ANSWERS == [503]
