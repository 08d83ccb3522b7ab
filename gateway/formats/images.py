"""``/v1/images/generations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.asked import NO_UNITS, Prompt
from gateway.errors import InvalidRequest
from gateway.formats.manners import OpenAiManners
from gateway.formats.passed_on import PassedOn
from gateway.formats.reading import read

# The most that OpenAI's table gives a picture is 6,240 (high quality, 1536 x 1024).
MOST_TOKENS_PER_IMAGE = 8_192
_USUAL_PIXELS = 1_536 * 1_024
# Of a square picture of this area.
_FAIR_TOKENS = {"low": 272, "medium": 1_056, "high": 4_160}
_LEAST_PIXELS = 1_024 * 1_024
_Short = Annotated[str, Meta(max_length=512)]


class ImagesRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A body of ``/v1/images/generations``."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    background: Literal["transparent", "opaque", "auto"] | None = None
    moderation: Literal["low", "auto"] | None = None
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    output_format: Literal["png", "webp", "jpeg"] | None = None
    quality: Literal["low", "medium", "high", "auto", "standard", "hd"] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    safety_identifier: _Short | None = None
    size: Annotated[str, Meta(pattern=r"^(auto|\d{2,5}x\d{2,5})$")] | None = None
    style: Literal["vivid", "natural"] | None = None
    user: _Short | None = None
    # Known so that the refusal can say why.
    stream: bool | None = None
    partial_images: int | None = None


_DECODER = msgspec.json.Decoder(ImagesRequest)


class Images(OpenAiManners):
    """The format of ``/v1/images/generations``."""

    name = "images"
    kind = "image"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> PassedOn[ImagesRequest]:
        """See ``Format.parse``."""
        request = read(_DECODER, body)
        for field in ("stream", "partial_images"):
            if getattr(request, field):
                raise InvalidRequest(f"'{field}' is not offered: pictures come whole.", param=field)
        request.stream = request.partial_images = None
        count = request.n or 1
        return PassedOn(
            request,
            request.model,
            Prompt(text_bytes=len(request.prompt.encode()), images=0, audios=0, files=0),
            explicit_max=_most_tokens(request.size or "auto"),
            choices=count,
            most_units=msgspec.structs.replace(NO_UNITS, images=count),
        )


def fair_tokens(request: ImagesRequest) -> int:
    """Return the tokens of one picture whose upstream reports none: those of OpenAI's table, by quality and area."""
    usual = _FAIR_TOKENS.get(request.quality or "auto", _FAIR_TOKENS["medium"])
    width, _, height = (request.size or "auto").partition("x")
    pixels = int(width) * int(height) if height else _LEAST_PIXELS
    return min(usual * max(_LEAST_PIXELS, pixels) // _LEAST_PIXELS, _most_tokens(request.size or "auto"))


def _most_tokens(size: str) -> int:
    """Return the most tokens of a picture: those of larger ones grow with their area."""
    width, _, height = size.partition("x")
    pixels = int(width) * int(height) if height else 0
    return MOST_TOKENS_PER_IMAGE * max(1, -(-pixels // _USUAL_PIXELS))
