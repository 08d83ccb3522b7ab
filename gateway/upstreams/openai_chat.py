"""The adapter for upstreams that speak chat completions: OpenAI and every compatible server.

Shapes: OpenAI's published specification; what other servers do differently stands in ``compatible.py`` and is read by
``openai_chat_reader.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.snapshot import Model
from gateway.asked import Attempt
from gateway.assembly import Assembly
from gateway.events import Result
from gateway.form import Form
from gateway.keepsakes import Need, Remembering
from gateway.upstreams import openai_wire
from gateway.upstreams.base import BadAnswer, CannotExpress, Prepared, Splitter
from gateway.upstreams.compatible import dialect_of
from gateway.upstreams.openai_chat_dialect import SAMPLING, TUNING, Dialect
from gateway.upstreams.openai_chat_messages import MessagesWriter, write_tools
from gateway.upstreams.openai_chat_reader import ChatReader
from gateway.upstreams.sse import EventSplitter

TARGET = "/chat/completions"
_ENCODER = msgspec.json.Encoder()
_TUNING = (*TUNING, "metadata", "max_tool_calls", "cache")


class OpenAIChat(Remembering, openai_wire.OpenAiErrors):
    """Chat completions as an upstream's protocol; see ``Adapter``."""

    def need(self, attempt: Attempt) -> Need:
        """See ``Remembering.need``."""
        dialect = dialect_of(attempt.route.channel)
        if dialect.has_google_seals or dialect.thoughts_field == "reasoning_details":
            return "seal"
        return "text" if dialect.thoughts_field else ""

    def prepare(self, form: Form, attempt: Attempt) -> Prepared:
        """See ``Adapter.prepare``."""
        channel = attempt.route.channel
        dialect = dialect_of(channel)
        refuse_what_differs(dialect, choices=form.choices, has_logprobs=form.logprobs)
        writer = MessagesWriter(dialect)
        tools, left_out = write_tools(form, dialect, attempt.model)
        fields: dict[str, Any] = {
            "model": attempt.route.upstream_model,
            "messages": writer.write(form.messages),
        } | tools
        tuning, dropped = _tuning(form, attempt.model, dialect)
        fields |= tuning | _shape(form) | _stream_fields(dialect, is_stream=form.is_stream)
        if attempt.max_output is not None:
            fields[dialect.bound_name] = attempt.max_output
        if form.choices > 1:
            fields["n"] = form.choices
        reasoning = dialect.reasoning(form.reasoning, attempt.model)
        if reasoning is None:
            dropped.append("reasoning")
        fields |= reasoning or {}
        dialect.amend(fields, form, attempt.model)
        return Prepared(
            target=TARGET,
            headers=openai_wire.headers(channel, is_stream="stream" in fields),
            body=_ENCODER.encode(fields),
            dropped=tuple(dict.fromkeys([*dropped, *left_out, *sorted(writer.dropped)])),
        )

    def answer(self, body: bytes, form: Form) -> Result:
        """See ``Adapter.answer``."""
        reader = ChatReader(form)
        assembly = Assembly()
        if is_stream(body):
            splitter = EventSplitter()
            for event in [*splitter.feed(body), *splitter.finish()]:
                assembly.take(reader.feed(event))
            if not assembly.is_finished:
                raise BadAnswer("a stream that broke off")
        else:
            assembly.take(reader.read_whole(body))
        return assembly.result()

    def reader(self, form: Form) -> ChatReader:
        """See ``Adapter.reader``."""
        return ChatReader(form)

    def splitter(self) -> Splitter:
        """See ``Adapter.splitter``."""
        return EventSplitter()


def is_stream(body: bytes) -> bool:
    """Tell whether an answer came as a stream: some models give no other, whatever the caller wants."""
    return body.lstrip()[:6].startswith((b"data:", b":", b"event:"))


def refuse_what_differs(dialect: Dialect, *, choices: int, has_logprobs: bool) -> None:
    """Raise ``CannotExpress`` for what a server does not offer and no other field can say."""
    if choices > dialect.max_choices:
        raise CannotExpress(
            "choices", f"This model's provider gives at most {dialect.max_choices} choices at a time."
        )
    if has_logprobs and not dialect.has_logprobs:
        raise CannotExpress("logprobs", "This model's provider does not report log probabilities.")


def _tuning(form: Form, model: Model, dialect: Dialect) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that tune the answer, and the names of those that this model or server does not take."""
    fields: dict[str, Any] = {}
    dropped: list[str] = []
    for name in _TUNING:
        value = getattr(form, name)
        if value is None or value in ("", {}):
            continue
        if name == "parallel_tool_calls" and not form.tools:
            continue
        if name not in dialect.takes or (name in SAMPLING and "no_sampling" in model.traits):
            dropped.append(name)
        else:
            fields[dialect.names.get(name, name)] = value
    for name, given in form.vendor.items():
        if dialect.is_own or name in dialect.vendor:
            fields[name] = given
        elif name != "chat_template_kwargs":
            # What a template is told of thoughts is said in ``reasoning``, too.
            dropped.append(name)
    return fields, dropped


def _shape(form: Form) -> dict[str, Any]:
    """Return the fields that fix what the answer looks like and where it ends."""
    fields: dict[str, Any] = {}
    if form.stop:
        fields["stop"] = form.stop
    if form.logprobs:
        fields["logprobs"] = True
        if form.top_logprobs is not None:
            fields["top_logprobs"] = form.top_logprobs
    wanted = form.response_format
    if wanted.kind == "json_object":
        fields["response_format"] = {"type": "json_object"}
    elif wanted.kind == "json_schema":
        schema: dict[str, Any] = {"name": wanted.name or "answer"}
        for name in ("schema", "description", "strict"):
            if (value := getattr(wanted, name)) not in (None, ""):
                schema[name] = value
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


def _stream_fields(dialect: Dialect, *, is_stream: bool) -> dict[str, Any]:
    if not is_stream:
        return {}
    if not dialect.has_stream_options:
        return {"stream": True}
    # OpenAI pads its chunks unless told not to; other servers may refuse to hear of it.
    padding = {"include_obfuscation": False} if dialect.has_padding else {}
    return {"stream": True, "stream_options": {"include_usage": True} | padding}
