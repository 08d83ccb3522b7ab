"""Bodies that no client of ours sends, and the routes they are sent to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

HELLO = "Hello. [[sandbox tokens=3]]"
_TURNS = [{"role": "user", "content": HELLO}]
# A good body of each path that takes JSON.
GOOD: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "gpt-4o", "messages": _TURNS, "max_tokens": 20},
    "/v1/completions": {"model": "gpt-4o", "prompt": HELLO, "max_tokens": 20},
    "/v1/messages": {"model": "gpt-4o", "messages": _TURNS, "max_tokens": 20},
    "/v1/messages/count_tokens": {"model": "gpt-4o", "messages": _TURNS},
    "/v1/responses": {"model": "gpt-4o", "input": HELLO, "store": False, "max_output_tokens": 20},
    "/v1/responses/input_tokens": {"model": "gpt-4o", "input": HELLO},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Hello."},
    "/v1/moderations": {"input": "Hello."},
    "/v1/images/generations": {"model": "gpt-image-1", "prompt": "A hat.", "quality": "low"},
    "/v1/audio/speech": {"model": "tts-1", "voice": "alloy", "input": "Hello."},
}
# Paths that read no JSON body, and get one all the same.
OTHER_PATHS = (
    "/v1/audio/transcriptions",
    "/v1/models",
    "/v1/models/gpt-4o",
    "/v1/key",
    "/v1/credits",
    "/v1/generations/req_1",
    "/v1/openapi.json",
    "/v1/nothing",
    "/v1/",
    "/v1",
)

Spoil = Callable[[dict[str, Any]], bytes]


def _plain(data: bytes) -> Spoil:
    return lambda _: data


def _with(**fields: Any) -> Spoil:
    return lambda good: json.dumps(good | fields).encode()


def _put(text: bytes) -> Spoil:
    """Return what writes a field more, its value as it stands."""
    return lambda good: json.dumps(good)[:-1].encode() + b", " + text + b"}"


def _nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return opening * depth + b"1" + closing * depth


def _deep(depth: int) -> Spoil:
    return _put(b'"metadata": ' + _nested(depth, b'{"a":', b"}"))


def _deep_schema(depth: int) -> Spoil:
    schema = _nested(depth, b'{"type":"object","properties":{"a":', b"}}")
    return _put(b'"tools": [{"type":"function","function":{"name":"f","parameters":' + schema + b"}}]")


BODIES: dict[str, Spoil] = {
    "nothing": _plain(b""),
    "an open object": _plain(b"{"),
    "an array": _plain(b"[]"),
    "null": _plain(b"null"),
    "a text": _plain(b'"x"'),
    "a number": _plain(b"-0"),
    "bytes that are no text": _plain(b"\xff\xfe\x00\x80"),
    "900 levels": _deep(900),
    "5,000 levels": _deep(5_000),
    "100,000 levels": _deep(100_000),
    "100,000 open brackets": _plain(b"[" * 100_000),
    "a schema of 900 levels": _deep_schema(900),
    "a schema of 3,000 levels": _deep_schema(3_000),
    "half a surrogate": _put(b'"user": "\\ud800"'),
    "NaN": _put(b'"temperature": NaN'),
    "Infinity": _put(b'"temperature": -Infinity'),
    "1e999": _put(b'"temperature": 1e999'),
    "a number of 4,000 digits": _put(b'"seed": ' + b"9" * 4_000),
    "a float of 4,000 digits": _put(b'"temperature": 0.' + b"1" * 4_000),
    "model twice": _put(b'"model": 3'),
    "messages twice": _put(b'"messages": [], "messages": [{}], "input": 1, "input": []'),
    "a byte order mark": lambda good: b"\xef\xbb\xbf" + json.dumps(good).encode(),
    "UTF-16": lambda good: json.dumps(good).encode("utf-16"),
    "a maximum that is true": _with(max_tokens=True),
    "a maximum that is a text": _with(max_tokens="5", max_output_tokens="5"),
    "a maximum of 1e2": _put(b'"max_tokens": 1e2'),
    "a maximum below nothing": _with(max_tokens=-1, max_output_tokens=-1),
    "a maximum of 10^30": _with(max_tokens=10**30, max_output_tokens=10**30),
    "a NUL in a text": _with(user="a\0b", metadata={"a\0": "\0"}),
    "a NUL in the model": _with(model="gpt-4o\0"),
    "broken UTF-8 in a text": _put(b'"user": "\xc3\x28"'),
    "a raw line break in a text": _put(b'"user": "a\nb"'),
    "U+2028": _with(user="a\u2028b\u0085c"),
    "a text of 1 MB": _with(user="x" * 1_000_000),
    "words after the end": lambda good: json.dumps(good).encode() + b" {}",
    "a comment": lambda good: b"/* hi */" + json.dumps(good).encode(),
    "20,000 fields": lambda good: json.dumps(good | {f"f{n}": n for n in range(20_000)}).encode(),
    "where to send it": _with(
        api_base="http://127.0.0.1:1",
        base_url="http://127.0.0.1:1",
        api_key="sk-foreign",
        custom_llm_provider="x",
    ),
    "who pays": _with(organization="org_other", is_staff=True, balance=10**12, plan="enterprise"),
    "__proto__": _with(__proto__={"is_admin": True}, constructor={"prototype": {"a": 1}}),
    "a path as the model": _with(model="../../../../etc/passwd"),
    "SQL as the model": _with(model="gpt-4o' OR 1=1; DROP TABLE accounts_apikey; --"),
    "a template as the model": _with(model="{{7*7}}${7*7}{% debug %}"),
    "markup as the model": _with(model="<script>alert(1)</script>"),
    "a list as the model": _with(model=["gpt-4o"]),
    "a model of 100 kB": _with(model="m" * 100_000),
    "line breaks in the model": _with(model="gpt-4o\r\nx-injected: 1\r\n\r\n<html>"),
    "2,000 turns": _with(messages=[{"role": "user", "content": "a"}] * 2_000, input=["a"] * 2_000),
    "n of a million": _with(n=1_000_000, best_of=1_000_000),
    "3 MB": lambda good: json.dumps(good | {"metadata": {"a": "x" * 3_000_000}}).encode(),
}
