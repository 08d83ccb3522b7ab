"""Amazon Bedrock: Converse and ConverseStream.

A channel's base URL is ``https://bedrock-runtime.REGION.amazonaws.com``; its credential is one of Bedrock's API keys, or
an access key as ``ID:SECRET`` or ``ID:SECRET:TOKEN``, with which each request is signed.
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

import msgspec

from catalog.snapshot import Channel
from gateway.asked import Attempt
from gateway.events import Result
from gateway.form import Form
from gateway.upstreams.aws_signature import Credential, Request, Scope, sign
from gateway.upstreams.base import NONSENSE, Prepared, Reader, Splitter
from gateway.upstreams.bedrock_answer import BedrockReader, whole_answer
from gateway.upstreams.bedrock_request import write
from gateway.upstreams.eventstream import FrameSplitter
from gateway.upstreams.origin import Origin
from gateway.upstreams.private import without_secrets

SERVICE = "bedrock"
# Where an address, such as that of a proxy, does not tell.
DEFAULT_REGION = "us-east-1"
_REGION = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)\.")
_JSON = "application/json"
_UNNAMED = "The model's provider refused the request as invalid."
# Matched from the start of the text only: what a caller wrote and Amazon quotes must not take a channel out.
_OUR_TEXTS = ("Operation not allowed", "Your account", "The security token included in the request")


class Bedrock:
    """The adapter to Amazon Bedrock; see ``Adapter``."""

    def prepare(self, form: Form, attempt: Attempt) -> Prepared:
        """See ``Adapter.prepare``."""
        body, dropped = write(form, attempt)
        route = attempt.route
        method = "converse-stream" if form.is_stream else "converse"
        # Names of inference profiles hold colons and slashes.
        target = f"/model/{quote(route.upstream_model, safe='')}/{method}"
        headers = [("content-type", _JSON)]
        if not form.is_stream:
            headers.append(("accept", _JSON))
        headers += _opening(route.channel, target, body)
        return Prepared(target, tuple(headers), body, dropped)

    def answer(self, body: bytes, form: Form) -> Result:
        """See ``Adapter.answer``."""
        return whole_answer(body, form)

    def reader(self, form: Form) -> Reader:
        """See ``Adapter.reader``."""
        return BedrockReader(form)

    def splitter(self) -> Splitter:
        """See ``Adapter.splitter``."""
        return FrameSplitter()

    def blames_our_account(self, body: bytes) -> bool:
        """See ``Adapter.blames_our_account``."""
        return _message(body).startswith(_OUR_TEXTS)

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """See ``Adapter.complaint``; Amazon's own names of fields would mean nothing to a caller."""
        return without_secrets(_message(body) or _UNNAMED, channel), None


def _opening(channel: Channel, target: str, body: bytes) -> list[tuple[str, str]]:
    credential = Credential.read(channel.api_key)
    if credential is None:
        return [("authorization", f"Bearer {channel.api_key}")] if channel.api_key else []
    origin = Origin.of(channel.base_url)
    signed = {"host": origin.authority, "content-type": _JSON}
    request = Request("POST", origin.path + target, signed, body)
    return list(sign(request, credential, Scope(region_of(origin.host), SERVICE), time.time()).items())


def region_of(host: str) -> str:
    """Return the region that a host of Bedrock names."""
    found = _REGION.search(host)
    return found["region"] if found else DEFAULT_REGION


def _message(body: bytes) -> str:
    try:
        error: Any = msgspec.json.decode(body)
    except NONSENSE:
        return ""
    if not isinstance(error, dict):
        return ""
    message = error.get("message") or error.get("Message")
    return message if isinstance(message, str) else ""
