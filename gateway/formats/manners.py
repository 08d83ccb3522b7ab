"""What the formats of one company's SDKs share: names of parameters, errors, headers."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import GatewayError


class OpenAiManners:
    """Errors, headers and names as OpenAI's SDKs expect them."""

    content_type = "application/json"
    # Where the form's names differ from this format's own.
    params: Mapping[str, str] = {}

    def param(self, field: str) -> str:
        """See ``Format.param``."""
        return self.params.get(field, field)

    def refusal(self, error: GatewayError, request_id: str) -> tuple[int, bytes]:
        """See ``Format.refusal``."""
        return error.status, error.body()

    def headers(self, request_id: str) -> list[tuple[str, str]]:
        """See ``Format.headers``."""
        return [("x-request-id", request_id)]
