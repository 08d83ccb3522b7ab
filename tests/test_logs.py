from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from fastanchor.lib.redaction import redact
from fastanchor.logs import JsonLine, PlainLine, Redact


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key sk-proj-abcDEF123456 used", "key [removed] used"),
        ("fa_live_abcdefghijklmnopqrstuvwxyz0123456789", "fa_live_[removed]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [removed]"),
        ("AIzaSyA1234567890abcdefg", "[removed]"),
        ("GET /models?key=secret&x=1", "GET /models?key=[removed]&x=1"),
        ("postgres://user:pass@host/db", "postgres://user:[removed]@host/db"),
        ("redis://:pass@host:6379/0", "redis://:[removed]@host:6379/0"),
        ("whsec_0123456789abc", "[removed]"),
        ("Cookie: sessionid=abcdefghijklmnop; theme=dark", "Cookie: sessionid=[removed]; theme=dark"),
        ("{'sessionid': 'abcdefghijklmnop'}", "{'sessionid': '[removed]'}"),
        (f"ring k1:{'0a' * 32} is bad", "ring k1:[removed] is bad"),
        ("task-skipped 12 tokens", "task-skipped 12 tokens"),
        ("http://127.0.0.1:8000/v1?monkey=1", "http://127.0.0.1:8000/v1?monkey=1"),
    ],
)
def test_secrets_are_removed_and_nothing_else(text: str, clean: str) -> None:
    assert redact(text) == clean


def _record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("billing.test")
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("fa_live_abcdefghijkl")
    info = (caught.type, caught.value, caught.tb)
    record = logger.makeRecord("billing.test", logging.ERROR, __file__, 1, message, args, info, extra=extra)
    Redact().filter(record)
    return record


def test_arguments_fields_and_tracebacks_are_cleaned_too() -> None:
    line = PlainLine().format(_record("sent %s", "sk-abcdefghij", url="https://h/?key=abc", count=3))

    assert "sent [removed] url=https://h/?key=[removed] count=3" in line
    assert "ValueError: invalid literal for int() with base 10: 'fa_live_[removed]'" in line


def test_a_json_line_is_one_object_whose_own_names_win() -> None:
    line = JsonLine().format(_record("posted", amount_nano=7, level="mine"))

    parsed = json.loads(line)
    assert "\n" not in line
    assert parsed["event"] == "posted"
    assert parsed["amount_nano"] == 7
    assert parsed["level"] == "error"
    assert parsed["time"].endswith("+00:00")
    assert parsed["logger"] == "billing.test"
    assert "fa_live_[removed]" in parsed["trace"]


def test_no_text_makes_a_second_line_of_its_own() -> None:
    forged = 'x"}\n{"level": "info", "event": "accounts.logged_in"}\r\n'

    line = JsonLine().format(_record(forged, user_agent=forged))

    assert line.splitlines() == [line]
    assert json.loads(line)["event"] == forged


LOGGERS = (
    "", "accounts", "asyncio", "billing.shipper", "celery", "celery.app.trace", "celery.beat", "celery.task", "celery.worker",
    "django", "django.db.backends", "django.request", "django.security.csrf", "django.server", "gateway", "hpack", "httpx",
    "httpx2", "kombu", "redis", "stripe", "urllib3.connectionpool", "uvicorn", "uvicorn.access", "uvicorn.error",
)  # fmt: skip


def handlers_of(name: str) -> Iterator[logging.Handler]:
    """Yield every handler that a record of this logger reaches, but for those of the test runner."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        for each in logger.handlers:
            if not isinstance(each, logging.NullHandler) and not type(each).__module__.startswith("_pytest"):
                yield each
        logger = logger.parent if logger.propagate else None


@pytest.mark.parametrize("name", LOGGERS)
def test_whoever_logs_nothing_passes_by_the_filter(name: str) -> None:
    handlers = list(handlers_of(name))

    # Nobody hears of a request's line where the server was told to write none, as ours is.
    assert handlers or name == "uvicorn.access"
    assert all(any(isinstance(each, Redact) for each in handler.filters) for handler in handlers)
