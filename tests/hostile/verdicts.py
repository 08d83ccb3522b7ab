"""Reading what came back of a hostile request, and saying what is wrong with it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.live.programs import ROOT

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n")
_FIELDS = {"message", "type", "param", "code"}
# Words of machinery that no caller has any business with; none of them is in what we send.
_MACHINERY = (
    "Traceback (most", 'File "', ".py\"", "site-packages", "psycopg", "asyncpg", "redis.exceptions", "django.", "msgspec.", "uvicorn",
    "relation \"", "SELECT id", "INSERT INTO", "syntax error at or near", "sk-sandbox", "postgres://", "unix://", "/usr/lib",
    "DoesNotExist", "OperationalError", "KeyError", "0x7f",
)  # fmt: skip
_MARKUP = ("<html", "<!doctype", "<h1", "<body")


@dataclass(frozen=True)
class Answer:
    """One answer as it came: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes


def answers_in(data: bytes) -> list[Answer]:
    """Read the answers out of what a socket gave; interim ones count, too."""
    starts = [match.start() for match in _STATUS.finditer(data)] + [len(data)]
    return [_answer(data[start:end]) for start, end in itertools.pairwise(starts)]


def _answer(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _joined(body)
    return Answer(int(first.split()[1]), headers, body)


def _joined(chunks: bytes) -> bytes:
    parts = []
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        if not size or not (length := int(size, 16)):
            break
        parts.append(rest[:length])
        chunks = rest[length + 2 :]
    return b"".join(parts)


def faults(answer: Answer, secrets: Iterable[str], *, is_ours: bool = True) -> list[str]:
    """Return what is wrong with an answer; ``is_ours`` when it came from a path under ``/v1``."""
    text = answer.body.decode("utf-8", "replace")
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    found = [
        f"leaks {word!r}" for word in (*_MACHINERY, str(ROOT), *secrets) if word in text or word in headers
    ]
    if answer.status >= 500:
        found.append(f"is a {answer.status}")
    if "x-injected" in answer.headers:
        found.append("has a header of the caller's making")
    if is_ours and answer.status >= 200:
        found += _form_faults(answer, text)
    return found


def _form_faults(answer: Answer, text: str) -> list[str]:
    kind = answer.headers.get("content-type", "")
    if "html" in kind or text.lstrip().lower().startswith(_MARKUP):
        return ["is HTML"]
    if answer.status < 400:
        return []
    if not answer.headers.get("x-request-id", "").startswith("req_"):
        return ["has no request id"]
    return [] if not text and "content-length" in answer.headers else _envelope_faults(kind, text)


def _envelope_faults(kind: str, text: str) -> list[str]:
    if not kind.startswith("application/json"):
        return [f"is {kind or 'of no type'} instead of JSON"]
    try:
        body = json.loads(text)
        error = body["error"]
    except (ValueError, KeyError, TypeError):
        return [f"is no envelope: {text[:80]!r}"]
    is_anthropic = body.get("type") == "error" and {"type", "message"} <= set(error)
    return [] if set(error) == _FIELDS or is_anthropic else [f"is no envelope: {text[:80]!r}"]
