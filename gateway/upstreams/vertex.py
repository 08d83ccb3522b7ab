"""Vertex AI: the Gemini protocol with Google Cloud's credentials.

A channel's base URL is ``https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION``; its credential
is an API key or the JSON of a service account. Such an account signs its own tokens, so nothing is fetched.
"""

from __future__ import annotations

import base64
import time

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from catalog.snapshot import Channel
from gateway.upstreams.gemini import Gemini
from gateway.upstreams.gemini_seals import Service

AUDIENCE = "https://aiplatform.googleapis.com/"
LIFETIME_S = 3_600
# A token is replaced this long before it ends, so that none ends under way.
MARGIN_S = 300
# A credential that cannot be read is looked at again this soon; meanwhile nothing is signed.
RETRY_S = 60
_MAX_CACHED = 64


class _ServiceAccount(msgspec.Struct):
    client_email: str
    private_key: str
    private_key_id: str


class Vertex(Gemini):
    """The adapter to Vertex AI; see ``Adapter``."""

    models = "/publishers/google/models"
    service: Service = "vertex"

    def credential(self, channel: Channel) -> list[tuple[str, str]]:
        """See ``Gemini.credential``; without a readable one Google's 401 takes the channel out, as any wrong one."""
        if not channel.api_key.lstrip().startswith("{"):
            return super().credential(channel)
        token = bearer_token(channel.api_key, time.time())
        return [("authorization", f"Bearer {token}")] if token else []


# Token and the moment until which it is used, by credential.
_tokens: dict[str, tuple[str, float]] = {}


def bearer_token(credential: str, now: float) -> str:
    """Return a token for a service account's JSON; empty if that cannot be read."""
    token, until = _tokens.get(credential, ("", 0.0))
    if now < until:
        return token
    try:
        account = msgspec.json.decode(credential, type=_ServiceAccount)
        token, until = signed_token(account, int(now)), now + LIFETIME_S - MARGIN_S
    except (msgspec.DecodeError, ValueError, TypeError, UnsupportedAlgorithm):
        token, until = "", now + RETRY_S
    if len(_tokens) >= _MAX_CACHED:
        _tokens.clear()
    _tokens[credential] = token, until
    return token


def signed_token(account: _ServiceAccount, now: int) -> str:
    """Return a JSON Web Token (RFC 7519) that the account signs for itself."""
    head = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "sub": account.client_email,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + LIFETIME_S,
    }
    key = load_pem_private_key(account.private_key.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("not an RSA key")
    signed = b".".join(_base64(msgspec.json.encode(part)) for part in (head, claims))
    return b".".join((signed, _base64(key.sign(signed, PKCS1v15(), SHA256())))).decode()


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
