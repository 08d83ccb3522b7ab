"""Amazon's signature of requests, version 4, as far as one POST without a query needs it.

Own code, because botocore, the library that signs, is 31 MB on disk and slow to import, for what are two hashes and
five HMACs; the tests hold it to Amazon's published vectors.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"
_KEY = re.compile(r"(?P<id>[A-Z0-9]{8,128}):(?P<secret>[^:\s]{8,})(?::(?P<token>\S+))?")
_BLANKS = re.compile(r"\s+")


class Credential(msgspec.Struct, frozen=True):
    """An access key; ``token`` only with one that does not last."""

    id: str
    secret: str
    token: str = ""

    @classmethod
    def read(cls, text: str) -> Credential | None:
        """Read ``ID:SECRET`` or ``ID:SECRET:TOKEN``; ``None`` for anything else."""
        found = _KEY.fullmatch(text.strip())
        return cls(found["id"], found["secret"], found["token"] or "") if found else None


class Scope(msgspec.Struct, frozen=True):
    """For what a signature is valid."""

    region: str
    service: str


class Request(msgspec.Struct, frozen=True):
    """What is signed: ``path`` as it is sent, headers with lower-case names, ``host`` among them."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def sign(request: Request, credential: Credential, scope: Scope, now: float) -> dict[str, str]:
    """Return the headers to send beside those of the request."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": moment} | ({"x-amz-security-token": credential.token} if credential.token else {})
    headers = dict(sorted((request.headers | added).items()))
    names = ";".join(headers)
    written = "".join([f"{name}:{_BLANKS.sub(' ', value.strip())}\n" for name, value in headers.items()])
    # Every service but S3 wants the path, which may hold escapes already, escaped once more.
    path = quote(request.path, safe="/")
    canonical = "\n".join(
        (request.method, path, "", written, names, hashlib.sha256(request.body).hexdigest())
    )
    place = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, place, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credential.secret}".encode()
    for part in (*place.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    signed = f"{_ALGORITHM} Credential={credential.id}/{place}, SignedHeaders={names}, Signature={key.hex()}"
    return added | {"authorization": signed}
