"""Log lines: JSON in production, plain text beside a developer, secrets removed from both."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from fastanchor.lib.redaction import redact

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_TALKATIVE = (
    "celery.app.trace", "celery.beat", "celery.worker.strategy", "httpx2", "stripe", "uvicorn.error",
)  # fmt: skip


def configuration(*, is_json: bool) -> dict[str, Any]:
    """Return the setting LOGGING: every record passes the filter that removes secrets."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": Redact}},
        "formatters": {"line": {"()": JsonLine if is_json else PlainLine}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "line",
                "filters": ["redact"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django's own handlers print and mail what has not passed the filter.
            "django": {"handlers": [], "level": "INFO"},
            "django.server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
            # Every minute's tasks say what they did by themselves.
            **{name: {"level": "WARNING"} for name in _TALKATIVE},
        },
    }


class Redact(logging.Filter):
    """Removes secrets from the message, its extra fields and the traceback before anything is written."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; every record passes."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        for name, value in _extra(record).items():
            setattr(record, name, value if isinstance(value, int | float) else redact(str(value)))
        return True


class PlainLine(logging.Formatter):
    """``12:30:05 WARNING gateway.route: text field=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        time = datetime.fromtimestamp(record.created, tz=UTC).strftime("%H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _extra(record).items())
        line = f"{time} {record.levelname} {record.name}: {record.getMessage()}{fields}"
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonLine(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        trace = _trace(self, record)
        if trace:
            line["trace"] = trace
        return msgspec.json.encode(line | _extra(record) | line, enc_hook=str).decode()


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_text:
        return record.exc_text
    return formatter.formatException(record.exc_info) if record.exc_info else ""
