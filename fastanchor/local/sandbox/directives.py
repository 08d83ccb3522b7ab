"""What a caller may order the sandbox to do, written as ``[[sandbox key=value …]]``."""

from __future__ import annotations

import json
import re

import msgspec

from fastanchor.local.sandbox.script import Step, Wanted, step_at

_OPENING = "[[sandbox"
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\]\"']+)"
_FLAG_OR_PAIR = rf"\w+(?:={_VALUE})?"
_DIRECTIVE = re.compile(rf"\[\[sandbox((?:\s+{_FLAG_OR_PAIR})*)\s*\]\]")
_PAIRS = re.compile(rf"(\w+)(?:=({_VALUE}))?")
_REFUSAL = "I'm sorry, but I can't help with that."


class BadDirective(ValueError):
    """A directive that cannot be read; tests must not pass because of a typing error."""


class Directive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order. Numbers after ``_after`` count the chunks that carry tokens."""

    # The answer.
    tokens: int | None = None
    text: str | None = None
    think: str | None = None  # what is thought first, or how many tokens of it; 0 for none
    redacted: bool = False  # the thought is shown in encrypted form only
    call: str = ""  # a tool, or several with commas between, whether or not it is offered
    arguments: str | None = None  # of each call; made up from the tool's schema otherwise
    calls: int = 1  # how many times the tool is called
    script: str = ""  # what to do after how many tool results; see ``script.py``
    json: bool = False  # an object, or what the schema in the request wants
    refuse: str = ""  # a refusal, 1 for the usual words
    filtered: bool = False  # a filter ends the answer
    blocked: bool = False  # a filter stops the prompt
    length: bool = False  # ends as if a bound were met
    search: str = ""  # searches the web for this first
    logprobs: bool = False  # sent although nobody asked
    finish: str = ""  # the reason in the protocol's own words, whatever happened
    no_index: bool = False  # chat: tool calls without their index
    ignore_max: bool = False  # goes on beyond max_tokens
    model: str = ""  # the name in the answer, such as a dated snapshot of the model asked for
    usage_in: int | None = None  # all input, cached and written included; reported instead of the count
    usage_cached: int | None = None
    usage_written: int | None = None
    usage_out: int | None = None
    usage_reasoning: int | None = None
    nonce: str = ""  # found again in the log

    # Pace, in milliseconds; header_ms passes before the headers, first_ms after them.
    header_ms: int = 0
    first_ms: int | None = None
    delay_ms: int | None = None

    # Refusals.
    key: str = ""  # demands exactly this credential
    error: int = 0  # status of an error body
    param: str = ""  # the field it names, where the protocol names one
    retry_after: int | None = None
    drop: bool = False  # closes the connection before the headers
    html: bool = False
    garbage: bool = False
    empty: bool = False
    error_first: bool = False  # 200, and the first event is an error
    must_stream: bool = False  # only streams are answered

    # A stream that goes wrong.
    error_after: int | None = None
    error_event: str = ""  # the kind of error in a stream; after its first token unless error_after says when
    failed: bool = False  # responses: the error is a failed response rather than an error event
    close_after: int | None = None
    stall_after: int | None = None
    role_only_then_close: bool = False
    no_usage: bool = False
    no_finish: bool = False
    no_done: bool = False

    # A stream that is right but hard to read.
    blank: int = 0  # empty lines or keep-alive comments before the answer
    big_line: int = 0  # bytes of one extra piece
    spaced: bool = False  # a blank after each colon and comma of the JSON
    crlf: bool = False
    comments: bool = False
    pings: bool = False  # messages: a ping between any two events
    split: bool = False  # one write per byte

    @property
    def fails_after(self) -> int | None:
        """Return after how many tokens the stream reports an error, if at all."""
        if self.error_after is None and (self.error_event or self.failed):
            return 1
        return self.error_after

    def step(self, results: int) -> Step:
        """Return what is ordered for the answer after ``results`` tool results."""
        if self.script:
            return step_at(self.script, results)
        return Step(
            think=self.think,
            text=self.text,
            refuse=(_REFUSAL if self.refuse == "1" else self.refuse) or None,
            search=self.search or None,
            # A tool was called and has answered: the order is fulfilled.
            calls=() if results else self._calls(),
        )

    def _calls(self) -> tuple[Wanted, ...]:
        names = [name for name in self.call.split(",") if name]
        return tuple(Wanted(name, self.arguments) for name in names for _ in range(self.calls))


def read_directive(text: str) -> Directive:
    """Return the last directive in ``text``, or the default one; raises ``BadDirective``."""
    found = list(_DIRECTIVE.finditer(text))
    if len(found) != text.count(_OPENING):
        message = 'A [[sandbox …]] directive is malformed: write key=value or key="quoted value".'
        raise BadDirective(message)
    return parse_pairs(found[-1].group(1)) if found else Directive()


def parse_pairs(pairs: str) -> Directive:
    """Read ``key=value …``, where a key alone means 1; raises ``BadDirective``."""
    values = {name: _unquoted(value or "1") for name, value in _PAIRS.findall(pairs)}
    try:
        order = msgspec.convert(values, Directive, strict=False)
        order.step(0)
    except ValueError as exc:
        message = f"Bad [[sandbox]] directive: {exc}"
        raise BadDirective(message) from exc
    return order


def has_directive(text: str) -> bool:
    """Tell whether an order stands in ``text``."""
    return _OPENING in text


def without_directives(text: str) -> str:
    """Return the prompt as a model would see it."""
    return _DIRECTIVE.sub("", text).strip()


def _unquoted(value: str) -> str:
    if value.startswith("'"):
        return value[1:-1]
    return str(json.loads(value, strict=False)) if value.startswith('"') else value
