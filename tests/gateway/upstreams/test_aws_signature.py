"""Amazon's published vectors of its signature, version 4, and the path of a model on Bedrock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.upstreams.aws_signature import Credential, Request, Scope, sign

EXAMPLE = Credential("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
THEN = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
SCOPE = Scope("us-east-1", "service")
HOST = {"host": "example.amazonaws.com"}
UNRESERVED = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = {"content-type": "application/x-www-form-urlencoded"}
# The names are those of the vectors in Amazon's suite.
VECTORS = {
    "get-vanilla": (
        Request("GET", "/", HOST, b""),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        Request("POST", "/", HOST, b""),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "get-utf8": (
        Request("GET", "/ሴ", HOST, b""),
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    "get-unreserved": (
        Request("GET", UNRESERVED, HOST, b""),
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "get-space": (
        Request("GET", "/example space/", HOST, b""),
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    "get-header-value-trim": (
        Request("GET", "/", HOST | {"my-header1": " value1", "my-header2": ' "a   b   c"'}, b""),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-header-key-sort": (
        Request("POST", "/", {"my-header1": "value1"} | HOST, b""),
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    "post-x-www-form-urlencoded": (
        Request("POST", "/", HOST | FORM, b"Param1=value1"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthA"
    "x7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9"
    "q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


@pytest.mark.parametrize("name", VECTORS)
def test_published_vectors(name: str) -> None:
    request, signature = VECTORS[name]

    headers = sign(request, EXAMPLE, SCOPE, THEN)

    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"].endswith(f", Signature={signature}")
    assert "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request" in headers["authorization"]


def test_a_token_is_sent_and_signed() -> None:
    headers = sign(
        Request("POST", "/", HOST, b""), Credential(EXAMPLE.id, EXAMPLE.secret, TOKEN), SCOPE, THEN
    )

    assert headers["x-amz-security-token"] == TOKEN
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


def test_escapes_in_a_path_are_escaped_again() -> None:
    # The signature that botocore 1.44.5 makes of the same request.
    request = Request(
        "POST",
        "/model/us.anthropic.claude-v1%3A0/converse",
        {"host": "bedrock-runtime.us-east-1.amazonaws.com", "content-type": "application/json"},
        b"{}",
    )

    headers = sign(request, EXAMPLE, Scope("us-east-1", "bedrock"), THEN)

    assert headers["authorization"].endswith(
        "Signature=1258d75e5f085f6fb4fc03d2aec6d6cbece5e313136b220e36334d36c884f073"
    )


@pytest.mark.parametrize(
    ("text", "credential"),
    [
        ("AKIDEXAMPLE:secret/+key", Credential("AKIDEXAMPLE", "secret/+key")),
        (" ASIAEXAMPLE:secret/+key:tok/en== \n", Credential("ASIAEXAMPLE", "secret/+key", "tok/en==")),
        ("ABSKQmVkcm9ja0FQSUtleS0=", None),
        ("bedrock-api-key-abc", None),
        ("akid:secretkey", None),
        ("", None),
    ],
)
def test_an_access_key_is_told_from_an_api_key(text: str, credential: Credential | None) -> None:
    assert Credential.read(text) == credential
