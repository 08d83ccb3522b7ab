"""No body sends an upstream of ours to an address of ours."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.formats.chat import Chat
from gateway.formats.messages import Messages
from gateway.formats.responses import Responses
from tests.gateway.attempts import ask

PRIVATE = [
    "http://127.0.0.1:6379/", "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]/a.png",
    "http://[::ffff:10.0.0.1]/", "http://10.0.0.7/a.png", "http://169.254.169.254/latest/meta-data", "http://valkey:6379/",
    "http://localhost/a.png", "http://db.internal/", "http://printer.local./", "file:///etc/passwd", "gs://ours/a.png",
    "//x.example/a.png", "http://[x/", "/etc/passwd",
]  # fmt: skip
PUBLIC = ["https://x.example/a.png", "http://93.184.216.34/a.png", "https://[2606:2800:220:1::1]/a", "https://X.example:8443/?a=b"]  # fmt: skip


def asked(shape: str, url: str) -> None:
    """Read a body with an address."""
    chat: dict[str, Any] = {"type": "image_url", "image_url": {"url": url}}
    parts: dict[str, tuple[Any, str, dict[str, Any]]] = {
        "chat": (Chat(), "messages", chat),
        "responses": (Responses(), "input", {"type": "input_image", "image_url": url}),
        "responses file": (Responses(), "input", {"type": "input_file", "file_url": url}),
        "messages": (Messages(), "messages", {"type": "image", "source": {"type": "url", "url": url}}),
        "messages file": (
            Messages(),
            "messages",
            {"type": "document", "source": {"type": "url", "url": url}},
        ),
    }
    format_, field, part = parts[shape]
    bound = {"max_tokens": 9} if field == "messages" else {}
    ask(format_, {"model": "m", field: [{"role": "user", "content": [part]}], **bound})


SHAPES = ["chat", "responses", "responses file", "messages", "messages file"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("url", PRIVATE)
def test_an_address_of_ours_is_refused(shape: str, url: str) -> None:
    with pytest.raises(InvalidRequest, match="public http"):
        asked(shape, url)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_address_passes(shape: str, url: str) -> None:
    asked(shape, url)
