"""Amazon Bedrock's Converse and ConverseStream, in front of a model that speaks Anthropic's Messages."""

from __future__ import annotations

import re
from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox.answers import Delta
from fastanchor.local.sandbox.bedrock_request import read_converse
from fastanchor.local.sandbox.conversation import BadRequest
from fastanchor.local.sandbox.dialect import Asked, Event, Frames, Http, Said, Voice
from fastanchor.local.sandbox.directives import Directive
from fastanchor.local.sandbox.eventstream import FrameStream
from fastanchor.local.sandbox.messages import AskedMessages, Messages, MessagesVoice
from fastanchor.local.sandbox.messages_request import messages_conversation

PATH = re.compile(r"/bedrock/model/(.+)/converse(-stream)?")
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/\d{8}/[a-z0-9-]+/bedrock/aws4_request, "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=[0-9a-f]{64}"
)
_MUST_BE_SIGNED = {"host", "x-amz-date"}
_ERRORS = {
    400: ("ValidationException", "The sandbox was told to refuse this request."),
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model from the provided model identifier."),
    408: ("ModelTimeoutException", "The request took too long to process."),
    413: ("ValidationException", "Input is too long for requested model."),
    424: ("ModelErrorException", "The request failed due to an error while processing the model."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The system encountered an unexpected error during processing. Try your request again."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}  # fmt: skip
# Anthropic's words for an end that Converse has others for.
_STOP = {"refusal": "content_filtered"}
_STREAM_ERROR = "modelStreamErrorException"


class Bedrock(Messages):
    """The dialect ``bedrock``."""

    name = "bedrock"

    def read(self, http: Http) -> Asked:
        """Read a request; the model and whether to stream stand in its path."""
        _check_signature(http)
        found = PATH.fullmatch(http.path)
        assert found is not None
        request = read_converse(http.body, found[1], is_stream=bool(found[2]))
        return AskedConverse(request, messages_conversation(request))

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal; its kind stands in a header."""
        return {"message": str(refusal) or _kind_and_text(refusal)[1]}

    def error_headers(self, refusal: BadRequest) -> dict[str, str]:
        """Return what a refusal says beside its body."""
        return {"x-amzn-errortype": _kind_and_text(refusal)[0]}

    def headers(self) -> dict[str, str]:
        """Return no more than a trace."""
        return {"x-amzn-requestid": random_base62(32).lower()}

    def frames(self, order: Directive) -> Frames:
        """Return what writes the events of a stream."""
        return FrameStream(order)


class AskedConverse(AskedMessages):
    """A request that was read."""

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return ConverseVoice(said)


class ConverseVoice:
    """Says in Converse's words what Anthropic's model says."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._model = MessagesVoice(said)

    @property
    def answer_id(self) -> str:
        """Return an id for the log; the answer has none."""
        return self._model.answer_id

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""
        spoken = self._model.whole()
        message = {"role": "assistant", "content": [_block(block) for block in spoken["content"]]}
        return {
            "output": {"message": message},
            "stopReason": _reason(spoken["stop_reason"]),
            **self._report(),
        }

    def opening(self) -> list[Event]:
        """Begin the message."""
        return self._translated(self._model.opening())

    def say(self, delta: Delta) -> list[Event]:
        """Write one piece."""
        return self._translated(self._model.say(delta))

    def closing(self) -> list[Event]:
        """End the message, less what the order leaves out."""
        return self._translated(self._model.closing())

    def failure(self) -> list[Event]:
        """Return an exception in the stream."""
        message = "The model encountered an unexpected error while streaming."
        kind = self._said.order.error_event
        return [Event({"message": message}, kind if kind.endswith("Exception") else _STREAM_ERROR)]

    def comment(self) -> str:
        """Return nothing: frames have no comments."""
        return ""

    def _translated(self, events: list[Event]) -> list[Event]:
        told = [each.payload for each in events if isinstance(each.payload, dict)]
        return [event for payload in told for event in self._event(payload)]

    def _event(self, payload: dict[str, Any]) -> list[Event]:
        match payload["type"]:
            case "message_start":
                return [_padded("messageStart", role="assistant")]
            case "message_delta":
                return [_padded("messageStop", stopReason=_reason(payload["delta"]["stop_reason"]))]
            case "message_stop":
                return [_padded("metadata", **self._report())]
            case _:
                return _of_block(payload)

    def _report(self) -> dict[str, Any]:
        count = self._said.count
        metrics = {"metrics": {"latencyMs": 12}}
        if self._said.order.no_usage:
            return metrics
        long, short = count.written_long, count.written - count.written_long
        usage = {
            "inputTokens": count.input - count.cached - count.written,
            "outputTokens": count.output,
            "totalTokens": count.input + count.output,
            "cacheReadInputTokens": count.cached,
            "cacheWriteInputTokens": count.written,
            "cacheDetails": [
                {"ttl": ttl, "inputTokens": tokens} for ttl, tokens in (("5m", short), ("1h", long)) if tokens
            ],
        }
        return {"usage": usage, **metrics}


def _padded(name: str, **payload: Any) -> Event:
    """Return an event with the padding that hides how long a piece of text is."""
    return Event({**payload, "p": "abcdefghijkl"}, name)


def _of_block(payload: dict[str, Any]) -> list[Event]:
    place = {"contentBlockIndex": payload.get("index")}
    match payload["type"]:
        case "content_block_start":
            return _start(payload["content_block"], place)
        case "content_block_delta":
            return [_padded("contentBlockDelta", delta=_delta(payload["delta"]), **place)]
        case "content_block_stop":
            return [_padded("contentBlockStop", **place)]
        case _:
            return []


def _start(block: dict[str, Any], place: dict[str, Any]) -> list[Event]:
    """Return the event that begins a block, which only tool calls have."""
    if block["type"] == "tool_use":
        begun = {"toolUse": {"toolUseId": block["id"], "name": block["name"]}}
        return [_padded("contentBlockStart", start=begun, **place)]
    if block["type"] == "redacted_thinking":
        delta = {"reasoningContent": {"redactedContent": _blob(block["data"])}}
        return [_padded("contentBlockDelta", delta=delta, **place)]
    return []


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    match delta["type"]:
        case "text_delta":
            return {"text": delta["text"]}
        case "input_json_delta":
            return {"toolUse": {"input": delta["partial_json"]}}
        case "thinking_delta":
            return {"reasoningContent": {"text": delta["thinking"]}}
        case "signature_delta":
            return {"reasoningContent": {"signature": delta["signature"]}}
        case _:
            return {"citation": {}}


def _block(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "tool_use":
            called = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
            return {"toolUse": called}
        case "thinking":
            told = {"text": block["thinking"], "signature": block["signature"]}
            return {"reasoningContent": {"reasoningText": told}}
        case "redacted_thinking":
            return {"reasoningContent": {"redactedContent": _blob(block["data"])}}
        case _:
            return {"text": block["text"]}


def _blob(data: str) -> str:
    """Return bytes in the base64 that Amazon's protocols write."""
    return data.translate(str.maketrans("-_", "+/"))


def _reason(reason: str) -> str:
    return _STOP.get(reason, reason)


def _kind_and_text(refusal: BadRequest) -> tuple[str, str]:
    kind, text = _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
    return refusal.kind or kind, text


def _check_signature(http: Http) -> None:
    """Demand one of Bedrock's API keys, or a signature of version 4; the secret behind it is nobody's."""
    given = http.headers.get("authorization", "")
    if given.startswith("Bearer "):
        return
    if not given:
        raise BadRequest(
            "Missing Authentication Token", status=403, kind="MissingAuthenticationTokenException"
        )
    found = _SIGNED.fullmatch(given)
    signed = set(found["names"].split(";")) if found else set()
    if not signed >= _MUST_BE_SIGNED or "x-amz-date" not in http.headers:
        message = "The request signature does not conform to AWS standards."
        raise BadRequest(message, status=403, kind="IncompleteSignatureException")
