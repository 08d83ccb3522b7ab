"""What is sent down a socket as it is: requests that are none, or two in one, or meant to be read in two ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BODY = b'{"model": "gpt-4o", "messages": []}'
_LENGTH = b"content-length: %d\r\n" % len(_BODY)
_CHUNKED = b"transfer-encoding: chunked\r\n"
_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_HOST = b"host: 127.0.0.1\r\n"
_HIDDEN = b"GET /v1/smuggled HTTP/1.1\r\n" + _HOST + b"\r\n"


@dataclass(frozen=True)
class Raw:
    """Bytes for a socket; ``most_answers`` is how many requests an honest server may see in them.

    ``is_ours`` unless they ask for a page.
    """

    name: str
    data: bytes
    most_answers: int = 1
    is_ours: bool = True


def _post(headers: bytes, body: bytes = _BODY, *, host: bytes = _HOST) -> bytes:
    line = b"POST /v1/chat/completions HTTP/1.1\r\n"
    return line + host + b"content-type: application/json\r\n" + headers + b"\r\n" + body


def _get(
    target: bytes, headers: bytes = b"", *, version: bytes = b"HTTP/1.1", method: bytes = b"GET"
) -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + _HOST + headers + b"connection: close\r\n\r\n"


def raw_requests() -> list[Raw]:
    """Return all of them."""
    return [*_lengths(), *_encodings(), *_heads(), *_lines(), *_noise()]


def _lengths() -> Iterator[Raw]:
    yield Raw("a length and chunks, with a request hidden", _post(_LENGTH + _CHUNKED, b"0\r\n\r\n" + _HIDDEN))
    yield Raw("chunks and a length", _post(_CHUNKED + _LENGTH, _CHUNKS + _HIDDEN))
    yield Raw("two lengths that agree", _post(_LENGTH + _LENGTH))
    yield Raw("two lengths that differ", _post(_LENGTH + b"content-length: 3\r\n"))
    values = (
        b"+27",
        b"-1",
        b"1 2",
        b"0x10",
        b"1,1",
        b"99999999999999999999999",
        b"18446744073709551617",
        b"",
    )
    for value in values:
        yield Raw(f"the length {value.decode()!r}", _post(b"content-length: " + value + b"\r\n"))
    yield Raw("a blank before the colon", _post(b"content-length : 5\r\n"))
    yield Raw("a length on a folded line", _post(b"content-length:\r\n 5\r\n"))
    yield Raw("a length with a vertical tab", _post(b"content-length: \x0b5\r\n"))


def _encodings() -> Iterator[Raw]:
    for value in (
        b"\x0bchunked",
        b"xchunked",
        b"chunked, identity",
        b"identity",
        b"chunked, chunked",
        b"gzip",
    ):
        headers = b"transfer-encoding: " + value + b"\r\n"
        yield Raw(f"the encoding {value!r}", _post(headers, _CHUNKS + _HIDDEN))
    yield Raw("two encodings", _post(_CHUNKED + b"transfer-encoding: identity\r\n", _CHUNKS))
    yield Raw("chunks in HTTP/1.0", _post(_CHUNKED, _CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"))
    for size in (b"zz", b"-5", b"0x5", b"5;" + b"a" * 100_000, b"ffffffffffffffffff", b" 5", b"5 "):
        body = size + b"\r\nhello\r\n0\r\n\r\n"
        yield Raw(f"a chunk of {size[:20].decode()!r}", _post(_CHUNKED, body))
    yield Raw("a chunk that is longer than it says", _post(_CHUNKED, b"3\r\nhello\r\n0\r\n\r\n"))
    trailer = b"content-length: 50\r\nauthorization: Bearer x\r\n\r\n"
    yield Raw("trailers that are headers", _post(_CHUNKED, _CHUNKS[:-2] + trailer))
    yield Raw("10,000 chunks of one byte", _post(_CHUNKED, b"1\r\n \r\n" * 10_000 + b"0\r\n\r\n"))
    gzipped = b"content-encoding: gzip\r\nconnection: close\r\n" + _LENGTH
    yield Raw("a body that says to be compressed", _post(gzipped))


def _heads() -> Iterator[Raw]:
    target = b"/v1/models"
    yield Raw("bare line feeds", _get(target).replace(b"\r\n", b"\n"))
    yield Raw("a folded header", _get(target, b"x-a: b\r\n c\r\n"))
    yield Raw("a NUL in a header", _get(target, b"x-a: b\0c\r\n"))
    yield Raw("a carriage return in a header", _get(target, b"x-a: b\rc\r\n"))
    yield Raw("a header without a name", _get(target, b": b\r\n"))
    yield Raw("a header without a colon", _get(target, b"x-a\r\n"))
    yield Raw("bytes that are no text in a header", _get(target, b"x-a: \xff\xfe\r\nauthorization: \xff\r\n"))
    yield Raw("a header of 20 kB", _get(target, b"x-a: " + b"b" * 20_000 + b"\r\n"))
    yield Raw("a header of 200 kB", _get(target, b"x-a: " + b"b" * 200_000 + b"\r\n"))
    yield Raw("2,000 headers", _get(target, b"x-a: b\r\n" * 2_000))
    yield Raw("a name of 70 kB", _get(target, b"x" * 70_000 + b": b\r\n"))
    yield Raw("no host", _get(target).replace(_HOST, b""))
    yield Raw("two hosts", _get(target, b"host: b\r\n"))
    yield Raw("a host that is an attack", _get(target).replace(b"127.0.0.1", b"a/../<script>'"))
    yield Raw("two keys", _get(target, b"authorization: Bearer a\r\nauthorization: Bearer b\r\n"))
    yield Raw("forged forwarding", _get(target, b"x_forwarded_for: 127.0.0.1\r\nx-forwarded-for: ::1, x\r\n"))
    yield Raw(
        "an expectation", _post(b"expect: 100-continue\r\nconnection: close\r\n" + _LENGTH), most_answers=2
    )
    yield Raw("an impossible expectation", _post(b"expect: 200-maybe\r\nconnection: close\r\n" + _LENGTH))


def _lines() -> Iterator[Raw]:
    targets = (
        b"http://evil.example/v1/models", b"*", b"//evil.example/v1/models", b"/v1/%00", b"/v1/models/%00", b"/v1/%2e%2e/admin",
        b"/v1/../admin/", b"/v1/models/%ff%fe", b"/v1/models?%ff=%00", b"/v1/models?a=\xff", b"/v1/\xff", b"/v1/a b",
        b"/v1/models/" + b"a" * 9_000, b"/v1/%zz", b"/v1/responses?limit=-1&after=%00", b"/v1/generations/%0d%0a",
        b"/v1/models?" + b"a=b&" * 5_000, b"/v1\\models", b"/v1/models;a=b", b"/v1/chat/completions?a=\x80",
    )  # fmt: skip
    for target in targets:
        yield Raw(f"the target {target[:40]!r}", _get(target), is_ours=target.startswith((b"/v1/", b"http:")))
    for method in (b"FOO", b"get", b"TRACE", b"CONNECT", b"PROPFIND", b"OPTIONS", b"HEAD", b"PATCH", b"G\0T"):
        for target in (b"/v1/models", b"/v1/chat/completions"):
            # An answer to HEAD has no body to judge.
            sent = _get(target, method=method)
            yield Raw(f"the method {method!r} to {target.decode()}", sent, is_ours=method != b"HEAD")
    for version in (b"HTTP/9.9", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10", b"ICAP/1.0", b"http/1.1", b""):
        yield Raw(f"the version {version.decode()!r}", _get(b"/v1/models", version=version))


def _noise() -> Iterator[Raw]:
    yield Raw("the opening of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    upgrade = b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    yield Raw(
        "an upgrade to HTTP/2", _get(b"/v1/models", b"connection: upgrade, http2-settings\r\n" + upgrade)
    )
    socket = (
        b"upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
    )
    yield Raw("a web socket", _get(b"/v1/models", b"connection: upgrade\r\n" + socket))
    yield Raw("the hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2)
    yield Raw("bytes", bytes(range(256)) * 20)
    yield Raw("line breaks before a request", b"\r\n\r\n" + _get(b"/v1/models"))
    yield Raw("another protocol", b"EHLO example.com\r\nMAIL FROM:<a@b>\r\n")
    yield Raw(
        "40 requests at once",
        _get(b"/v1/nothing").replace(b"connection: close\r\n", b"") * 40 + _get(b"/v1/"),
        41,
    )
