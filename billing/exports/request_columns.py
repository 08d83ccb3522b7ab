"""What an export says of each request: the columns of its CSV, and the names in its JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastanchor.lib.money import exact_usd
from fastanchor.lib.spreadsheets import harmless

Value = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what people are told it is, and how it comes from the fields that it reads."""

    name: str
    meaning: str
    fields: tuple[str, ...]
    write: Callable[..., Value] = lambda value: value


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _took_ms(started_at: datetime, finished_at: datetime) -> int:
    return (finished_at - started_at) // timedelta(milliseconds=1)


def _tokens(name: str, meaning: str) -> Column:
    return Column(name, meaning, (name,))


# ``key_name`` is filled in by the writer: keys are another app's.
COLUMNS = (
    Column("request_id", "As in the header x-request-id", ("request_id",)),
    Column("started_at", "When it came in; ISO 8601, UTC, milliseconds", ("started_at",), _moment),
    Column("finished_at", "When it ended", ("finished_at",), _moment),
    Column("duration_ms", "From the one to the other", ("started_at", "finished_at"), _took_ms),
    Column("first_token_ms", "From the start to the first token; empty where there was none", ("first_token_ms",)),
    Column("key_id", "The API key", ("key_id",)),
    Column("key_name", "Its name today", ("key_name",)),
    Column("model", "The model that was asked for", ("model_id",)),
    Column("provider", "Whose model it is", ("provider_id",)),
    Column("is_stream", "true where the answer was streamed", ("is_stream",)),
    Column("outcome", "completed, client_left, upstream_died, cut, free, interrupted or failed", ("outcome",)),
    Column("status", "The HTTP status that was sent; 0 where none was", ("status",)),
    Column("error_code", "The code of the error, where there was one", ("error_code",)),
    Column("finish_reason", "Why the model stopped", ("finish_reason",)),
    Column("attempts", "How many providers' endpoints were asked; you pay for one at most", ("attempts",)),
    _tokens("input_tokens", "All tokens of the input"),
    _tokens("cached_tokens", "Of the input: read from the provider's cache"),
    _tokens("cache_write_tokens", "Of the input: written to the cache"),
    _tokens("cache_write_1h_tokens", "Of those: kept for an hour"),
    _tokens("audio_input_tokens", "Of the input: sound"),
    _tokens("cached_audio_tokens", "Of the input: sound read from the cache"),
    _tokens("image_input_tokens", "Of the input: pictures"),
    _tokens("output_tokens", "All tokens of the output"),
    _tokens("reasoning_tokens", "Of the output: thoughts"),
    _tokens("audio_output_tokens", "Of the output: sound"),
    Column("images", "Pictures that were billed one by one", ("images",)),
    Column("searches", "Web searches", ("searches",)),
    Column("characters", "Characters that were spoken", ("characters",)),
    Column("seconds", "Seconds that were listened to", ("seconds",)),
    Column("cost_usd", "What was charged, in US dollars with all nine places", ("cost_nano",), exact_usd),
    Column("cost_nano_usd", "The same as a whole number of nano-dollars", ("cost_nano",)),
    Column("is_estimated", "true where the provider reported no usage", ("is_estimated",)),
    Column("is_own_key", "true where your own key of the provider was used, which then costs nothing here", ("is_own_key",)),
    Column("price_id", "The price that it was charged by", ("price_id",)),
)  # fmt: skip
NAMES = tuple(column.name for column in COLUMNS)
FIELDS = tuple(dict.fromkeys(field for column in COLUMNS for field in column.fields if field != "key_name"))


def values_of(row: Mapping[str, Any]) -> list[Value]:
    """Return the values of a row's columns, in order."""
    return [column.write(*(row[field] for field in column.fields)) for column in COLUMNS]


def as_csv(rows: Sequence[Sequence[Value]]) -> bytes:
    """Write rows as lines of CSV; texts that a spreadsheet would run as a formula get an apostrophe in front."""
    text = io.StringIO()
    csv.writer(text).writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _plain(value: Value) -> str | int | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return harmless(value) if isinstance(value, str) else value


def as_json_lines(rows: Sequence[Sequence[Value]]) -> bytes:
    """Write each row as an object on a line of its own."""
    lines = (json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()
