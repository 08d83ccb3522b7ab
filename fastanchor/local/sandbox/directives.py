"""What a caller may order the sandbox to do, written as ``[[sandbox key=value …]]``."""

from __future__ import annotations

import json
import re

import msgspec

_OPENING = "[[sandbox"
_PAIR = r"\w+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\]\"]+)"
_DIRECTIVE = re.compile(rf"\[\[sandbox((?:\s+{_PAIR})*)\s*\]\]")
_PAIRS = re.compile(rf"(\w+)=({_PAIR.split('=', 1)[1]})")


class BadDirective(ValueError):
    """A directive that cannot be read; tests must not pass because of a typing error."""


class Directive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order. Numbers after ``_after`` count the chunks that carry tokens."""

    # The answer.
    tokens: int | None = None
    text: str | None = None
    ignore_max: bool = False  # goes on beyond max_tokens
    model: str = ""  # the name in the answer, such as a dated snapshot of the model asked for
    usage_in: int | None = None  # reported instead of the count
    usage_cached: int | None = None
    usage_out: int | None = None
    nonce: str = ""  # found again in the log

    # Pace, in milliseconds; header_ms passes before the headers, first_ms after them.
    header_ms: int = 0
    first_ms: int | None = None
    delay_ms: int | None = None

    # Refusals.
    key: str = ""  # demands exactly this bearer key
    error: int = 0  # status of an OpenAI error body
    retry_after: int | None = None
    drop: bool = False  # closes the connection before the headers
    html: bool = False
    garbage: bool = False
    empty: bool = False
    error_first: bool = False  # 200, and the first event is an error

    # A stream that goes wrong.
    error_after: int | None = None
    close_after: int | None = None
    stall_after: int | None = None
    role_only_then_close: bool = False
    no_usage: bool = False
    no_finish: bool = False
    no_done: bool = False

    # A stream that is right but hard to read.
    big_line: int = 0  # bytes of one extra piece
    spaced: bool = False  # a blank after each colon and comma of the JSON
    crlf: bool = False
    comments: bool = False
    split: bool = False  # one write per byte


def read_directive(text: str) -> Directive:
    """Return the last directive in ``text``, or the default one; raises ``BadDirective``."""
    found = list(_DIRECTIVE.finditer(text))
    if len(found) != text.count(_OPENING):
        message = 'A [[sandbox …]] directive is malformed: write key=value or key="quoted value".'
        raise BadDirective(message)
    return parse_pairs(found[-1].group(1)) if found else Directive()


def parse_pairs(pairs: str) -> Directive:
    """Read ``key=value …``; raises ``BadDirective``."""
    values = {name: _unquoted(value) for name, value in _PAIRS.findall(pairs)}
    try:
        return msgspec.convert(values, Directive, strict=False)
    except msgspec.ValidationError as exc:
        message = f"Bad [[sandbox]] directive: {exc}"
        raise BadDirective(message) from exc


def without_directives(text: str) -> str:
    """Return the prompt as a model would see it."""
    return _DIRECTIVE.sub("", text).strip()


def _unquoted(value: str) -> str:
    return str(json.loads(value, strict=False)) if value.startswith('"') else value
